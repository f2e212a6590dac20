package shop

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// answers is a host that answers requests in turn, and keeps what is emitted and remembered.
type answers struct {
	queue   []answer
	urls    []string
	emitted []Reading
	state   map[string][]byte
}

type answer struct {
	status int
	body   string
	err    error
}

func (a *answers) Now() uint64 { return 7 }

func (a *answers) Get(url string) (int, []byte, error) {
	a.urls = append(a.urls, url)
	next := a.queue[0]
	a.queue = a.queue[1:]
	return next.status, []byte(next.body), next.err
}

func (a *answers) Load(key string) ([]byte, error) { return a.state[key], nil }

func (a *answers) Save(key string, value []byte) error {
	a.state = map[string][]byte{key: value}
	return nil
}

func (a *answers) Emit(reading Reading) error {
	a.emitted = append(a.emitted, reading)
	return nil
}

func pageOf(orders, cursor string, more bool, open int) answer {
	body := fmt.Sprintf(`{"orders": [%s], "cursor": %q, "more": %t, "open": %d}`, orders, cursor, more, open)
	return answer{status: 200, body: body}
}

func order(status string, seconds float64) string {
	return fmt.Sprintf(`{"status": %q, "seconds": %g}`, status, seconds)
}

func configured(t *testing.T) Orders {
	orders, err := Configure([]byte(`{"host": "https://shop.example/", "page_size": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	return orders
}

func TestPagesAreFollowedAndEveryOrderIsCounted(t *testing.T) {
	host := &answers{queue: []answer{
		pageOf(order("paid", 0.2)+","+order("paid", 3), "a b", true, 0),
		pageOf(order("void", 0.5), "c", false, 4),
	}}
	if more, err := configured(t).Collect(host); more || err != nil {
		t.Fatal(more, err)
	}
	first := "https://shop.example/api/orders?limit=2"
	if urls := []string{first, first + "&after=a+b"}; !reflect.DeepEqual(host.urls, urls) {
		t.Error(host.urls)
	}
	expected := Reading{
		Host: "https://shop.example", Start: 7, Open: 4, Seconds: 3.7,
		Counts: []Count{{"paid", 2}, {"void", 1}}, Buckets: []uint64{2, 0, 1, 0, 0},
	}
	if !reflect.DeepEqual(host.emitted, []Reading{expected}) {
		t.Errorf("%+v", host.emitted)
	}
}

func TestWhatWasCountedIsNotCountedAgain(t *testing.T) {
	host := &answers{queue: []answer{pageOf(order("paid", 1), "a", false, 0), pageOf(order("paid", 1), "b", false, 0)}}
	for range 2 {
		if _, err := configured(t).Collect(host); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasSuffix(host.urls[1], "&after=a") || host.emitted[1].Counts[0].Orders != 2 || host.emitted[1].Start != 7 {
		t.Errorf("%v %+v", host.urls, host.emitted)
	}
}

func TestManyPagesAreQueuedInBetween(t *testing.T) {
	host := &answers{}
	for range Pages {
		host.queue = append(host.queue, pageOf("", "x", true, 0))
	}
	if more, err := configured(t).Collect(host); !more || err != nil {
		t.Fatal(more, err)
	}
}

func TestWhatGoesWrongHasAName(t *testing.T) {
	for _, wrong := range []struct {
		answer   answer
		expected error
	}{
		{answer{status: 401}, ErrUnauthorized},
		{answer{status: 503}, ErrUnavailable},
		{answer{err: ErrUnavailable}, ErrUnavailable},
		{answer{status: 200, body: "<html>"}, ErrInvalidData},
		{answer{status: 200, body: `{"orders": [{}], "cursor": "a"}`}, ErrInvalidData},
	} {
		host := &answers{queue: []answer{wrong.answer}}
		if _, err := configured(t).Collect(host); !errors.Is(err, wrong.expected) {
			t.Error(wrong, err)
		}
		if host.emitted != nil || host.state != nil {
			t.Error(wrong, "is remembered")
		}
	}
}
