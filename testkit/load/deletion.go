// The command deletion: manifests are deleted one after the other, each is timed, and then nothing of them answers.

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// doomed is a manifest to delete, and other references that must be gone with it.
type doomed struct {
	digest string
	others []string
}

// longestDeletion is how long one answer may take: thousands of rows go before it.
const longestDeletion = 15 * time.Minute

func runDeletion(args []string) error {
	var target Target
	set := newFlags("deletion")
	repository := set.String("repository", "", "where they are")
	list := set.String("file", "", "lines of DIGEST, REFERENCES: what goes with it, apart by commas; the two apart by a tab")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	manifests, err := readDoomed(*list)
	if err != nil {
		return err
	}
	client := target.client(1)
	client.http.Transport.(*http.Transport).ResponseHeaderTimeout = longestDeletion
	// Neither the handshake nor the check of a password is part of what is measured.
	if _, err := client.openRead(call{method: "GET", path: "/v2/", repository: *repository}); err != nil {
		return err
	}
	for number, manifest := range manifests {
		remove := call{method: "DELETE", path: "/v2/" + *repository + "/manifests/" + manifest.digest, repository: *repository}
		began := time.Now()
		if _, _, err := client.send(remove, http.StatusAccepted); err != nil {
			return fmt.Errorf("after %s: %w", time.Since(began), err)
		}
		put(fmt.Sprintf("delete_%d_s", number), time.Since(began).Seconds())
	}
	for _, manifest := range manifests {
		if err := client.expectGone(*repository, manifest); err != nil {
			return err
		}
	}
	return nil
}

func readDoomed(path string) ([]doomed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var manifests []doomed
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		digest, others, found := strings.Cut(lines.Text(), "\t")
		if !found {
			return nil, fmt.Errorf("%s: %q is not a digest and references", path, lines.Text())
		}
		manifests = append(manifests, doomed{digest, strings.Split(others, ",")})
	}
	return manifests, lines.Err()
}

// expectGone asks for the manifest, for what was to go with it, and for its referrers.
func (c *Client) expectGone(repository string, manifest doomed) error {
	for _, reference := range append(manifest.others, manifest.digest) {
		get := call{method: "GET", path: "/v2/" + repository + "/manifests/" + reference, repository: repository,
			accept: manifestType}
		if _, _, err := c.send(get, http.StatusNotFound); err != nil {
			return fmt.Errorf("%s was deleted, and 404 was expected: %w", manifest.digest, err)
		}
	}
	path := "/v2/" + repository + "/referrers/" + manifest.digest
	_, body, err := c.send(call{method: "GET", path: path, repository: repository}, http.StatusOK)
	if err != nil {
		return err
	}
	var index struct{ Manifests []json.RawMessage }
	if err := json.Unmarshal(body, &index); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	if len(index.Manifests) > 0 {
		return fmt.Errorf("GET %s: %d referrers of what was deleted", path, len(index.Manifests))
	}
	return nil
}
