// Package mask says which attributes are masked.
package mask

import (
	"encoding/json"
	"slices"
)

// Mask covers attributes by their keys.
type Mask struct{ Keys []string }

// Configure reads what satisfies the schema of plugin.toml.
func Configure(config []byte) (Mask, error) {
	var mask Mask
	err := json.Unmarshal(config, &mask)
	return mask, err
}

// Covers tells whether the attribute of this key is masked.
func (m Mask) Covers(key string) bool { return slices.Contains(m.Keys, key) }
