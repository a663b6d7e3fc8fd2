// What a client meets while the server, or what it stands on, fails; and which of that it has to expect.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// outcomes counts what a client met while the server or what it stands on failed.
type outcomes struct {
	mutex  sync.Mutex
	counts map[string]int64
}

func newOutcomes() *outcomes { return &outcomes{counts: map[string]int64{}} }

func (o *outcomes) count(what string) {
	o.mutex.Lock()
	o.counts[what]++
	o.mutex.Unlock()
}

func (o *outcomes) report(prefix string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for what, count := range o.counts {
		put(prefix+what, count)
	}
}

// forgivable counts an error and tells whether it is one that a client has to expect while something is
// down: a cut connection, or a status of the server's with an error in the registry's form.
func (o *outcomes) forgivable(err error) bool {
	var wrong *DigestError
	if errors.As(err, &wrong) {
		return false
	}
	var status *StatusError
	if !errors.As(err, &status) {
		o.count("cuts")
		return true
	}
	o.count(fmt.Sprintf("answers_%d", status.Code))
	return status.Code >= 500 && status.clean()
}

// insist repeats what fails forgivably.
func (o *outcomes) insist(patience time.Duration, what func() error) error {
	for end := time.Now().Add(patience); ; {
		err := what()
		if err == nil || !o.forgivable(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// clean tells whether the answer is an error in the registry's form. One to HEAD has no body.
func (e *StatusError) clean() bool {
	var answer struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if e.Method == http.MethodHead {
		return e.Body == ""
	}
	return json.Unmarshal([]byte(e.Body), &answer) == nil && len(answer.Errors) > 0 && answer.Errors[0].Code != ""
}
