// The journal of a crash run: what the clients asked for, and what the server acknowledged. From it
// follows what each repository has to hold after the server was killed.
//
// One line is one write. `B` opens an operation before its request leaves, `A` notes the acknowledgement;
// an operation without `A` may have happened or not. Each repository belongs to one client, so that its
// operations are in order.
//
//	B ID push   REPOSITORY TAG|- DIGEST SIZE BLOB:SIZE,...
//	B ID blob   REPOSITORY DIGEST SIZE
//	B ID untag  REPOSITORY TAG
//	B ID delete REPOSITORY DIGEST
//	B ID drop   REPOSITORY DIGEST        (delete a blob)
//	A ID

package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Journal appends lines to a file.
type Journal struct {
	mutex sync.Mutex
	file  *os.File
	next  int
}

func openJournal(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Journal{file: file, next: 1}, nil
}

// begin writes the `B` line of an operation and returns its id.
func (j *Journal) begin(operation string) int {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	id := j.next
	j.next++
	j.write(fmt.Sprintf("B %d %s\n", id, operation))
	return id
}

func (j *Journal) acknowledge(id int) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.write(fmt.Sprintf("A %d\n", id))
}

func (j *Journal) write(line string) {
	if _, err := j.file.WriteString(line); err != nil {
		panic(err)
	}
}

// Certainty is how much is known of a thing's presence.
type Certainty int

const (
	absent Certainty = iota
	maybe
	present
)

// ManifestState is a manifest that was pushed at some time, with the blobs it names.
type ManifestState struct {
	State Certainty
	Size  int64
	Blobs []Blob
}

// RepositoryState is what one repository has to hold.
type RepositoryState struct {
	Manifests map[string]*ManifestState
	// Tags maps a tag to the digests it may point at; "" stands for no such tag. More than one only after a crash.
	Tags map[string]map[string]bool
	// Blobs were acknowledged or dropped by themselves; those of present manifests have to be there anyway.
	Blobs map[string]*ManifestState
}

func newRepositoryState() *RepositoryState {
	return &RepositoryState{map[string]*ManifestState{}, map[string]map[string]bool{}, map[string]*ManifestState{}}
}

// State is every repository.
type State map[string]*RepositoryState

func (s State) repository(name string) *RepositoryState {
	if s[name] == nil {
		s[name] = newRepositoryState()
	}
	return s[name]
}

// readState replays a journal. Operations are applied when they are acknowledged, or, those that never
// were, at the end.
func readState(path string) (State, error) {
	state := State{}
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	open := map[string][]string{}
	var order []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			return nil, fmt.Errorf("journal line %q", lines.Text())
		}
		if fields[0] == "B" {
			open[fields[1]] = fields[2:]
			order = append(order, fields[1])
			continue
		}
		if err := state.apply(open[fields[1]], true); err != nil {
			return nil, err
		}
		delete(open, fields[1])
	}
	for _, id := range order {
		if operation, unanswered := open[id]; unanswered {
			if err := state.apply(operation, false); err != nil {
				return nil, err
			}
		}
	}
	return state, lines.Err()
}

// apply changes the state by one operation, which is certain only where it was acknowledged.
func (s State) apply(operation []string, certain bool) error {
	if len(operation) < 3 {
		return fmt.Errorf("journal operation %q", operation)
	}
	repository, what := s.repository(operation[1]), operation[2]
	switch operation[0] {
	case "push":
		blobs, err := parseBlobs(operation[5])
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(operation[4], 10, 64)
		if err != nil {
			return err
		}
		repository.push(what, operation[3], size, blobs, certain)
	case "blob":
		size, err := strconv.ParseInt(operation[3], 10, 64)
		if err != nil {
			return err
		}
		known := repository.Blobs[what]
		if certain || known == nil || known.State == absent {
			repository.Blobs[what] = &ManifestState{State: sure(present, certain), Size: size}
		}
	case "untag":
		repository.point(what, "", certain)
	case "delete":
		repository.delete(what, certain)
	case "drop":
		if known := repository.Blobs[what]; known != nil {
			known.State = sure(absent, certain)
		}
	default:
		return fmt.Errorf("journal operation %q", operation)
	}
	return nil
}

func sure(state Certainty, certain bool) Certainty {
	if certain {
		return state
	}
	return maybe
}

func (r *RepositoryState) push(tag, digest string, size int64, blobs []Blob, certain bool) {
	known := r.Manifests[digest]
	if certain || known == nil || known.State == absent {
		r.Manifests[digest] = &ManifestState{sure(present, certain), size, blobs}
	}
	if tag != "-" {
		r.point(tag, digest, certain)
	}
}

// point moves a tag; what it pointed at before stays possible where the move is not certain.
func (r *RepositoryState) point(tag, digest string, certain bool) {
	if certain || r.Tags[tag] == nil {
		before := r.Tags[tag] == nil
		r.Tags[tag] = map[string]bool{digest: true}
		if before && !certain {
			r.Tags[tag][""] = true
		}
		return
	}
	r.Tags[tag][digest] = true
}

// delete removes a manifest, its tags, and the certainty about blobs that nothing else names.
func (r *RepositoryState) delete(digest string, certain bool) {
	manifest := r.Manifests[digest]
	if manifest == nil {
		return
	}
	manifest.State = sure(absent, certain)
	for _, targets := range r.Tags {
		if targets[digest] {
			targets[""] = true
			if certain {
				delete(targets, digest)
			}
		}
	}
	for _, blob := range manifest.Blobs {
		if known := r.Blobs[blob.Digest]; known != nil && known.State == present && !r.names(blob.Digest) {
			known.State = maybe
		}
	}
}

// names reports whether a manifest that may be present names the blob.
func (r *RepositoryState) names(blob string) bool {
	for _, manifest := range r.Manifests {
		if manifest.State == absent {
			continue
		}
		for _, named := range manifest.Blobs {
			if named.Digest == blob {
				return true
			}
		}
	}
	return false
}

func formatBlobs(blobs []Blob) string {
	parts := make([]string, len(blobs))
	for index, blob := range blobs {
		parts[index] = fmt.Sprintf("%s/%d", blob.Digest, blob.Size)
	}
	return strings.Join(parts, ",")
}

func parseBlobs(text string) ([]Blob, error) {
	var blobs []Blob
	for _, part := range strings.Split(text, ",") {
		cut := strings.LastIndexByte(part, '/')
		if cut < 0 {
			return nil, fmt.Errorf("journal blob %q", part)
		}
		size, err := strconv.ParseInt(part[cut+1:], 10, 64)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, Blob{Digest: part[:cut], Size: size})
	}
	return blobs, nil
}

// writeState replaces a journal by the shortest one that leads to the same state. What is absent is
// forgotten: it has just been checked.
func writeState(path string, state State) error {
	temporary := path + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	journal, err := openJournal(temporary)
	if err != nil {
		return err
	}
	for name, repository := range state {
		kept := 0
		for digest, blob := range repository.Blobs {
			// Manifests promise what they name; of the rest a few are enough to go on with.
			if blob.State == present && !repository.names(digest) && kept < 30 {
				kept++
				journal.acknowledge(journal.begin(fmt.Sprintf("blob %s %s %d", name, digest, blob.Size)))
			}
		}
		for digest, manifest := range repository.Manifests {
			if manifest.State != present {
				continue
			}
			for _, tag := range append(repository.tagsOf(digest), "-") {
				journal.acknowledge(journal.begin(fmt.Sprintf("push %s %s %s %d %s", name, tag, digest,
					manifest.Size, formatBlobs(manifest.Blobs))))
			}
		}
	}
	if err := journal.file.Close(); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (r *RepositoryState) tagsOf(digest string) []string {
	var tags []string
	for tag, targets := range r.Tags {
		if len(targets) == 1 && targets[digest] {
			tags = append(tags, tag)
		}
	}
	return tags
}
