// verify: hold the server to the journal. What was acknowledged is there, whole; what was deleted is
// gone; what was in flight is there whole or not at all; and nothing else is visible.

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"
)

// verifier collects what it finds wrong.
type verifier struct {
	client    *Client
	tagDelete bool
	mutex     sync.Mutex
	problems  []string
	counts    map[string]int
	pulled    map[string]bool
}

func (v *verifier) problem(format string, args ...any) {
	v.mutex.Lock()
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
	v.mutex.Unlock()
}

func (v *verifier) count(what string) {
	v.mutex.Lock()
	v.counts[what]++
	v.mutex.Unlock()
}

func runVerify(args []string) error {
	var target Target
	set := flag.NewFlagSet("load verify", flag.ExitOnError)
	path := set.String("journal", "journal", "journal; rewritten to the state that was found, unless something is wrong")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	state, err := readState(*path)
	if err != nil {
		return err
	}
	began := time.Now()
	check := &verifier{client: target.client(8), counts: map[string]int{}, pulled: map[string]bool{}}
	names := make([]string, 0, len(state))
	for name := range state {
		names = append(names, name)
	}
	sort.Strings(names)
	parallel(len(names), func(index int) { check.repository(names[index], state[names[index]]) })
	for _, what := range []string{"manifests", "manifests_in_flight", "tags", "tags_in_flight", "blobs",
		"blobs_in_flight", "gone"} {
		put(what, check.counts[what])
	}
	put("seconds", time.Since(began).Seconds())
	put("problems", len(check.problems))
	for index, text := range check.problems {
		if index < 40 {
			fmt.Fprintln(os.Stderr, "  problem:", text)
		}
	}
	if len(check.problems) > 0 {
		return fmt.Errorf("%d promises broken", len(check.problems))
	}
	return writeState(*path, state)
}

func (v *verifier) repository(name string, state *RepositoryState) {
	v.manifests(name, state)
	v.blobs(name, state)
	v.tags(name, state)
}

func (v *verifier) manifests(name string, state *RepositoryState) {
	for digest, manifest := range state.Manifests {
		found := v.manifest(name, digest, manifest)
		switch {
		case manifest.State == present && !found:
			v.problem("%s: manifest %s was acknowledged and is gone", name, digest)
		case manifest.State == absent && found:
			v.problem("%s: manifest %s was deleted and is still there", name, digest)
		case manifest.State == absent:
			v.count("gone")
		case manifest.State == maybe:
			v.count("manifests_in_flight")
			manifest.State = absent
			if found {
				manifest.State = present
			}
		default:
			v.count("manifests")
		}
	}
}

// manifest pulls a manifest and everything it names; whatever is visible has to be whole.
func (v *verifier) manifest(name, digest string, state *ManifestState) bool {
	got, err := v.client.pullManifest(name, digest)
	if statusOf(err) == http.StatusNotFound {
		return false
	}
	if err != nil {
		v.problem("%s: manifest %s: %v", name, digest, err)
		return true
	}
	if got.Digest != digest {
		v.problem("%s: manifest %s has the bytes of %s", name, digest, got.Digest)
	}
	if state.State == absent {
		return true
	}
	for _, blob := range state.Blobs {
		v.blob(name, blob.Digest, "named by manifest "+digest)
	}
	return true
}

// blob pulls a blob once per repository and checks its bytes.
func (v *verifier) blob(name, digest, why string) bool {
	v.mutex.Lock()
	known := v.pulled[name+digest]
	v.pulled[name+digest] = true
	v.mutex.Unlock()
	if known {
		return true
	}
	_, err := v.client.pullBlob(name, digest, make([]byte, 64<<10))
	if err != nil {
		v.problem("%s: blob %s, %s: %v", name, digest, why, err)
		return false
	}
	v.count("blobs")
	return true
}

func (v *verifier) blobs(name string, state *RepositoryState) {
	for digest, blob := range state.Blobs {
		if blob.State == present {
			v.blob(name, digest, "acknowledged")
			continue
		}
		_, err := v.client.pullBlob(name, digest, make([]byte, 64<<10))
		gone := statusOf(err) == http.StatusNotFound
		switch {
		case blob.State == absent && gone:
			v.count("gone")
		case blob.State == absent:
			v.problem("%s: blob %s was deleted: %v", name, digest, err)
		case err != nil && !gone:
			v.problem("%s: blob %s, in flight: %v", name, digest, err)
		default:
			// Nothing was promised about it: there or not, it is forgotten.
			v.count("blobs_in_flight")
			blob.State = absent
		}
	}
}

func (v *verifier) tags(name string, state *RepositoryState) {
	listed, err := v.listTags(name)
	if err != nil {
		v.problem("%s: %v", name, err)
		return
	}
	for tag, targets := range state.Tags {
		got, err := v.client.pullManifest(name, tag)
		digest := got.Digest
		if statusOf(err) == http.StatusNotFound {
			digest, err = "", nil
		}
		if err != nil {
			v.problem("%s: tag %s: %v", name, tag, err)
			continue
		}
		if !targets[digest] {
			v.problem("%s: tag %s points at %q, which is none of %v", name, tag, digest, keys(targets))
		}
		if listed[tag] != (digest != "") {
			v.problem("%s: tag %s points at %q, but listed is %v", name, tag, digest, listed[tag])
		}
		if manifest := state.Manifests[digest]; digest != "" && (manifest == nil || manifest.State != present) {
			v.problem("%s: tag %s points at %s, which is not there by digest", name, tag, digest)
		}
		v.count("tags")
		if len(targets) > 1 {
			v.count("tags_in_flight")
		}
		state.Tags[tag] = map[string]bool{digest: true}
		delete(listed, tag)
	}
	for tag := range listed {
		v.problem("%s: tag %s is listed and was never pushed", name, tag)
	}
}

func keys(set map[string]bool) []string {
	var list []string
	for key := range set {
		list = append(list, key)
	}
	sort.Strings(list)
	return list
}

func (v *verifier) listTags(name string) (map[string]bool, error) {
	_, body, err := v.client.send(call{method: "GET", path: "/v2/" + name + "/tags/list", repository: name},
		http.StatusOK, http.StatusNotFound)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, tag := range answer.Tags {
		listed[tag] = true
	}
	return listed, nil
}
