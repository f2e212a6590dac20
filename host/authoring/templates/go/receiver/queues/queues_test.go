package queues

import (
	"reflect"
	"testing"
)

func TestEveryQueueIsRead(t *testing.T) {
	read, err := Read([]byte(`{"queues": [{"name": "mail", "length": 3}, {"name": "jobs", "length": 0}]}`))
	if err != nil || !reflect.DeepEqual(read, []Queue{{"mail", 3}, {"jobs", 0}}) {
		t.Error(read, err)
	}
}

func TestWhatIsNoListOfQueuesIsRefused(t *testing.T) {
	for _, body := range []string{"<html>", "{}", `{"queues": 3}`} {
		if read, err := Read([]byte(body)); err == nil {
			t.Error(body, read)
		}
	}
}

func TestTheURLIsThatOfTheHost(t *testing.T) {
	if url, err := URL([]byte(`{"host": "https://queues.example/"}`)); err != nil || url != "https://queues.example/api/queues" {
		t.Error(url, err)
	}
}
