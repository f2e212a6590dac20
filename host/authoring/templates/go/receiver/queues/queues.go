// Package queues says how long queues are.
package queues

import (
	"encoding/json"
	"errors"
	"strings"
)

// Queue is one of them.
type Queue struct {
	Name   string
	Length int64
}

// URL is where the queues are, by the configuration.
func URL(config []byte) (string, error) {
	var fields struct{ Host string }
	err := json.Unmarshal(config, &fields)
	return strings.TrimRight(fields.Host, "/") + "/api/queues", err
}

// Read understands what the API answers.
func Read(body []byte) ([]Queue, error) {
	var answer struct{ Queues *[]Queue }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.Queues == nil {
		return nil, errors.New("not a list of queues")
	}
	return *answer.Queues, nil
}
