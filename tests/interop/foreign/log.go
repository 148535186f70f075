// The log as the Go checksum database's own packages see it: golang.org/x/mod/sumdb/note and tlog (Debian
// golang-golang-x-mod-dev). The tiles are C2SP's, whose paths differ from Go's by one element.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Vkey, Checkpoint, Old, Tiles string
	Entries                      map[int64]string
}

type reader struct{ dir string }

func (r reader) Height() int                            { return 8 }
func (r reader) SaveTiles(tiles []tlog.Tile, _ [][]byte) {}
func (r reader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		read, err := os.ReadFile(filepath.Join(r.dir, "tile", strings.TrimPrefix(t.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		data = append(data, read)
	}
	return data, nil
}

func open(vkey, text string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	var tree tlog.Tree
	var root string
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, errors.New("not a checkpoint of this log")
	}
	root = lines[2]
	if _, err := fmt.Sscanf(lines[1], "%d", &tree.N); err != nil {
		return tree, err
	}
	hash, err := base64.StdEncoding.DecodeString(root)
	copy(tree.Hash[:], hash)
	return tree, err
}

func check(r request) (included int, err error) {
	tree, err := open(r.Vkey, r.Checkpoint)
	if err != nil {
		return 0, err
	}
	old, err := open(r.Vkey, r.Old)
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, reader{r.Tiles}) // authenticates every tile it reads
	growth, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return 0, err
	}
	if err := tlog.CheckTree(growth, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return 0, err
	}
	for index, text := range r.Entries {
		entry, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return included, err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return included, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
			return included, fmt.Errorf("entry %d: %w", index, err)
		}
		included++
	}
	return included, nil
}

func main() {
	var r request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	included, err := check(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(included)
}
