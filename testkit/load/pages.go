// The command pages: GETs from a list of paths on a few connections, each answer held to what it must be.

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// page is one request and what its answer must hold: a list of `items` items that begins with `first`, or,
// where items is negative, the manifest of the digest that the answer names.
type page struct {
	path  string
	items int
	first string
}

func readPages(path string) ([]page, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var pages []page
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q is not a path, a number and an item", path, lines.Text())
		}
		items, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		pages = append(pages, page{fields[0], items, fields[2]})
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("no page in %s", path)
	}
	return pages, lines.Err()
}

func runPages(args []string) error {
	var target Target
	set := newFlags("pages")
	connections := set.Int("connections", 8, "connections that ask at once, one request at a time each")
	count := set.Int("count", 200, "requests in all")
	repository := set.String("repository", "", "what a token is asked for")
	status := set.Int("status", http.StatusOK, "the status that is right")
	list := set.String("file", "", "lines of PATH, number of items, first item, apart by tabs; used in turn")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	pages, err := readPages(*list)
	if err != nil {
		return err
	}
	clients := make([]*Client, *connections)
	for index := range clients {
		clients[index] = target.client(1)
		// Neither the handshake nor the check of a password is part of what is measured.
		if _, err := clients[index].openRead(call{method: "GET", path: "/v2/", repository: *repository}); err != nil {
			return err
		}
	}
	answers := make([]answer, *count)
	meter := startMeter(target.PIDs)
	parallel(*connections, func(index int) {
		for number := index; number < *count; number += *connections {
			page := pages[number%len(pages)]
			get := call{method: "GET", path: page.path, repository: *repository}
			if page.items < 0 {
				get.accept = manifestType
			}
			began := time.Now()
			response, body, err := clients[index].send(get, *status)
			if err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, int64(len(body)))
			answers[number] = answer{page, response, body}
		}
	})
	meter.stop()
	// Reading what came takes about as long as sending it, and is not to be in its way.
	for _, answer := range answers {
		if err := answer.check(); err != nil {
			meter.fail(err)
		}
	}
	return meter.report()
}

type answer struct {
	page
	response *http.Response
	body     []byte
}

// openRead sends a request whatever its status, and reads the answer to its end.
func (c *Client) openRead(what call) ([]byte, error) {
	response, err := c.open(what)
	if err != nil {
		return nil, err
	}
	return finish(response)
}

func (a answer) check() error {
	if a.response == nil || a.response.StatusCode != http.StatusOK {
		// It failed, or holds no list, which was right.
		return nil
	}
	if a.items < 0 {
		got := smallBlob(a.body).Digest
		if named := a.response.Header.Get("Docker-Content-Digest"); got != named {
			return fmt.Errorf("GET %s: bytes of %s, named %s", a.path, got, named)
		}
		return nil
	}
	names, err := itemsOf(a.body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", a.path, err)
	}
	if len(names) != a.items || (a.items > 0 && names[0] != a.first) {
		return fmt.Errorf("GET %s: %d items from %s, expected %d from %s", a.path, len(names), firstOf(names), a.items, a.first)
	}
	return nil
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return names[0]
}

// itemsOf names the items of a list: an array, or an object with one array; of strings, or of objects with a
// name or a digest.
func itemsOf(body []byte) ([]string, error) {
	var array []json.RawMessage
	if err := json.Unmarshal(body, &array); err != nil {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); err != nil {
			return nil, err
		}
		for _, value := range object {
			if json.Unmarshal(value, &array) == nil && array != nil {
				break
			}
		}
	}
	names := make([]string, len(array))
	for index, item := range array {
		if json.Unmarshal(item, &names[index]) == nil {
			continue
		}
		var named struct{ Name, Digest string }
		if err := json.Unmarshal(item, &named); err != nil {
			return nil, err
		}
		names[index] = named.Name + named.Digest
	}
	return names, nil
}
