// across: what is deleted or taken away through one replica is gone on the other.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"
)

type across struct {
	// The replica that changes something, and the one that is asked.
	here, there *Client
	repository  string
	late        []time.Duration
}

func runAcross(args []string) error {
	var target Target
	set := newFlags("across")
	other := set.String("other", "", "URL of the other replica")
	rounds := set.Int("rounds", 20, "deletions of each kind")
	members := set.Int("members", 3, "members that are removed")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	second, err := target.at(*other)
	if err != nil {
		return err
	}
	run := &across{here: target.client(2), there: second.client(2), repository: "across/app"}
	if err := run.here.createProject("across"); err != nil {
		return err
	}
	for round := 0; round < *rounds; round++ {
		if err := run.deletions(fmt.Sprintf("t%d", round)); err != nil {
			return fmt.Errorf("deletion %d: %w", round, err)
		}
		run.here, run.there = run.there, run.here
	}
	put("manifests_gone", *rounds)
	put("tags_gone", *rounds)
	for number := 0; number < *members; number++ {
		if err := run.member(number); err != nil {
			return fmt.Errorf("member %d: %w", number, err)
		}
		run.here, run.there = run.there, run.here
	}
	sort.Slice(run.late, func(a, b int) bool { return run.late[a] < run.late[b] })
	put("members_removed", *members)
	put("refused_after_p50_ms", quantile(run.late, 0.5))
	put("refused_after_max_ms", quantile(run.late, 1))
	return nil
}

// deletions deletes a tag, then the manifest with another tag, and asks the other replica at once. It was
// asked before, so that whatever it remembers is there to be wrong.
func (a *across) deletions(tag string) error {
	image := newImage(randomConfig(newSeed(), 300), []Blob{randomBlob(newSeed(), 3000)}, nil)
	for _, blob := range image.Blobs {
		if err := a.here.pushBlob(a.repository, blob, wayPut); err != nil {
			return err
		}
	}
	kept, digest := tag+"-kept", image.Manifest.Digest
	for _, name := range []string{tag, kept} {
		if err := a.here.pushManifest(a.repository, name, image.Manifest); err != nil {
			return err
		}
	}
	steps := []struct {
		delete string
		after  map[string]int
	}{
		{"", map[string]int{tag: 200, kept: 200, digest: 200}},
		{tag, map[string]int{tag: 404, kept: 200, digest: 200}},
		{digest, map[string]int{tag: 404, kept: 404, digest: 404}},
	}
	for _, step := range steps {
		if step.delete != "" {
			if _, _, err := a.here.send(call{method: "DELETE", path: a.path(step.delete), repository: a.repository},
				http.StatusAccepted); err != nil {
				return err
			}
		}
		for reference, status := range step.after {
			for _, method := range []string{"GET", "HEAD"} {
				if _, _, err := a.there.send(call{method: method, path: a.path(reference), repository: a.repository,
					accept: manifestType}, status); err != nil {
					return fmt.Errorf("after deleting %q on the other replica, %d was expected: %w", step.delete, status, err)
				}
			}
		}
	}
	return nil
}

func (a *across) path(reference string) string {
	return "/v2/" + a.repository + "/manifests/" + reference
}

// member makes a user a member and takes that away again while it goes on with the token it has.
func (a *across) member(number int) error {
	const password = "Across-Passw0rd"
	name := fmt.Sprintf("across-%d", number)
	account := map[string]string{"username": name, "password": password, "email": name + "@example.test", "realname": name}
	if err := a.here.rest("POST", "/api/v2.0/users", account, http.StatusCreated); err != nil {
		return err
	}
	image := newImage(randomConfig(newSeed(), 300), nil, nil)
	if err := a.here.pushBlob(a.repository, image.Blobs[0], wayPut); err != nil {
		return err
	}
	if err := a.here.pushManifest(a.repository, "member", image.Manifest); err != nil {
		return err
	}
	const maintainer = 4
	grant := map[string]any{"role_id": maintainer, "member_user": map[string]string{"username": name}}
	if err := a.here.rest("POST", "/api/v2.0/projects/across/members", grant, http.StatusCreated); err != nil {
		return err
	}
	user, err := a.there.target.at(a.there.target.URL)
	if err != nil {
		return err
	}
	user.User, user.password = name, password
	client := user.client(1)
	defer client.close()
	pull := call{method: "GET", path: a.path("member"), repository: a.repository, accept: manifestType}
	if err := until(2*time.Second, func() error { _, _, err := client.send(pull, http.StatusOK); return err }); err != nil {
		return fmt.Errorf("a member may not pull: %w", err)
	}
	id, err := a.memberID(name)
	if err != nil {
		return err
	}
	if err := a.here.rest("DELETE", fmt.Sprintf("/api/v2.0/projects/across/members/%d", id), nil, http.StatusOK); err != nil {
		return err
	}
	return a.refused(client, pull)
}

// refused waits until the client's token is worth nothing any more, and sees that it stays so.
func (a *across) refused(client *Client, pull call) error {
	began := time.Now()
	refused := func() error {
		_, _, err := client.send(pull, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound)
		return err
	}
	if err := until(2*time.Second, refused); err != nil {
		return fmt.Errorf("a removed member goes on: %w", err)
	}
	a.late = append(a.late, time.Since(began))
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := refused(); err != nil {
			return fmt.Errorf("a member that was refused is let in again: %w", err)
		}
	}
	return nil
}

func (a *across) memberID(name string) (int, error) {
	body, err := a.here.restAnswer("GET", "/api/v2.0/projects/across/members?entityname="+name, nil, http.StatusOK)
	if err != nil {
		return 0, err
	}
	var members []struct {
		ID   int    `json:"id"`
		Name string `json:"entity_name"`
	}
	if err := json.Unmarshal(body, &members); err != nil {
		return 0, err
	}
	for _, member := range members {
		if member.Name == name {
			return member.ID, nil
		}
	}
	return 0, fmt.Errorf("no member %s in %s", name, strings.TrimSpace(string(body)))
}

// until repeats what fails, for a time.
func until(patience time.Duration, what func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := what()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
