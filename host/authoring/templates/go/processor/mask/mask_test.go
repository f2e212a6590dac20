package mask

import "testing"

func TestNamedAttributesAreMaskedAndNoOthers(t *testing.T) {
	mask, err := Configure([]byte(`{"keys": ["user", "owner"]}`))
	if err != nil || !mask.Covers("owner") || !mask.Covers("user") || mask.Covers("zone") {
		t.Error(mask, err)
	}
}
