// quota: many pushes at once into a project that has room for some of them. spread: many pushes into one
// project or into as many as there are clients.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

func runQuota(args []string) error {
	var target Target
	set := newFlags("quota")
	clients := set.Int("clients", 200, "clients that push one blob each")
	fit := set.Int("fit", 120, "blobs that the quota has room for")
	size := set.String("size", "64K", "bytes of each")
	way := set.String("way", wayPut, "put, patch or post")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("quota-%d", time.Now().UnixNano())
	id, err := target.client(1).limitedProject(name, int64(*fit)*bytes)
	if err != nil {
		return err
	}
	repository := name + "/rush"
	crew, err := target.warmCrew(*clients, func(int) string { return repository })
	if err != nil {
		return err
	}
	blobs := makeBlobs(*clients, bytes)
	refused := make([]bool, *clients)
	meter := startMeter(target.PIDs)
	parallel(*clients, func(index int) {
		began := time.Now()
		err := crew[index].pushBlob(repository, blobs[index], *way)
		switch refused[index] = isDenied(err); {
		case refused[index]:
		case err != nil:
			meter.fail(err)
		default:
			meter.done(began, bytes)
		}
	})
	if err := meter.report(); err != nil {
		return err
	}
	return crew[0].checkQuota(id, repository, blobs, refused, *fit)
}

// isDenied says whether an answer is Harbor's to a push that is over the quota.
func isDenied(err error) bool {
	var status *StatusError
	if !errors.As(err, &status) || status.Code != http.StatusForbidden {
		return false
	}
	var answer struct {
		Errors []struct{ Code string }
	}
	return json.Unmarshal([]byte(status.Body), &answer) == nil &&
		len(answer.Errors) == 1 && answer.Errors[0].Code == "DENIED"
}

// checkQuota compares what was said with what is there, and both with what the project is charged with.
func (c *Client) checkQuota(id int64, repository string, blobs []Blob, refused []bool, fit int) error {
	present, bytes := 0, int64(0)
	for index, blob := range blobs {
		there, err := c.headBlob(repository, blob.Digest)
		if err != nil {
			return err
		}
		if there == refused[index] {
			return fmt.Errorf("%s: refused %v, there %v", blob.Digest, refused[index], there)
		}
		if there {
			present, bytes = present+1, bytes+blob.Size
		}
	}
	var quota struct {
		Used struct{ Storage int64 }
	}
	if err := c.fetch(fmt.Sprintf("/api/v2.0/quotas/%d", id), &quota); err != nil {
		return err
	}
	put("accepted", present)
	put("refused", len(blobs)-present)
	put("excess_bytes", quota.Used.Storage-bytes)
	if present != fit || quota.Used.Storage != bytes {
		return fmt.Errorf("%d pushed with room for %d; %d bytes charged, %d there", present, fit, quota.Used.Storage, bytes)
	}
	return nil
}

// limitedProject makes a project with a quota; its id.
func (c *Client) limitedProject(name string, limit int64) (int64, error) {
	if err := c.createProject(name); err != nil {
		return 0, err
	}
	var made struct {
		ID int64 `json:"project_id"`
	}
	if err := c.fetch("/api/v2.0/projects/"+name, &made); err != nil {
		return 0, err
	}
	hard := map[string]any{"hard": map[string]int64{"storage": limit}}
	return made.ID, c.rest(http.MethodPut, fmt.Sprintf("/api/v2.0/quotas/%d", made.ID), hard, http.StatusOK)
}

// warmCrew is as many clients, each with its own connection open and a token for its repository.
func (t *Target) warmCrew(count int, repository func(int) string) ([]*Client, error) {
	crew := make([]*Client, count)
	const atOnce = 8
	failures := make([]error, atOnce)
	parallel(atOnce, func(first int) {
		for index := first; index < count && failures[first] == nil; index += atOnce {
			crew[index] = t.client(1)
			failures[first] = crew[index].warm(repository(index))
		}
	})
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return crew, nil
}

func runSpread(args []string) error {
	var target Target
	set := newFlags("spread")
	projects := set.Int("projects", 1, "projects that the clients' repositories are spread over")
	clients := set.Int("clients", 200, "clients at once, each with a repository of its own")
	waves := set.Int("waves", 10, "blobs that each client pushes")
	size := set.String("size", "64K", "bytes of each")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	setup := target.client(1)
	name := func(index int) string { return fmt.Sprintf("spread-%d-%d", *projects, index%*projects) }
	for index := 0; index < *projects; index++ {
		const ample = 1 << 40
		if _, err := setup.limitedProject(name(index), ample); err != nil {
			return err
		}
	}
	repository := func(index int) string { return fmt.Sprintf("%s/r%d", name(index), index) }
	crew, err := target.warmCrew(*clients, repository)
	if err != nil {
		return err
	}
	blobs := makeBlobs(*clients**waves, bytes)
	meter := startMeter(target.PIDs)
	parallel(*clients, func(index int) {
		for wave := 0; wave < *waves; wave++ {
			began := time.Now()
			if err := crew[index].pushBlob(repository(index), blobs[wave**clients+index], wayPut); err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, bytes)
		}
	})
	return meter.report()
}
