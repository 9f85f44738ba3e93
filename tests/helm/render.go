// Renders a chart as `helm template` does, with Go's templates and sprig's functions, which are Helm's
// own. Debian has both (golang-go, golang-github-masterminds-sprig-dev, golang-k8s-sigs-yaml-dev), and
// not Helm.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run render.go CHART RELEASE [VALUES.yaml ...]
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: render CHART RELEASE [VALUES.yaml ...]"))
	}
	chart, release := os.Args[1], os.Args[2]
	values := read(filepath.Join(chart, "values.yaml"))
	for _, path := range os.Args[3:] {
		lay(read(path), values)
	}
	about := read(filepath.Join(chart, "Chart.yaml"))
	data := map[string]interface{}{
		"Values":  values,
		"Release": map[string]interface{}{"Name": release, "Namespace": "default", "Service": "Helm"},
		"Chart":   titled(about),
	}
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["include"] = func(name string, data interface{}) (string, error) {
		var text bytes.Buffer
		err := all.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	functions["required"] = func(why string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", why)
		}
		return value, nil
	}
	all.Funcs(functions)
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		fail(err)
	}
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		if _, err := all.New(filepath.Base(path)).Parse(string(text)); err != nil {
			fail(err)
		}
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, name, data); err != nil {
			fail(err)
		}
		if strings.Contains(text.String(), "<no value>") {
			fail(fmt.Errorf("%s: a value that there is not", name))
		}
		fmt.Printf("---\n# Source: %s\n%s\n", name, text.String())
	}
}

// The fields of a chart as its templates name them.
func titled(about map[string]interface{}) map[string]interface{} {
	all := map[string]interface{}{}
	for name, value := range about {
		all[strings.ToUpper(name[:1])+name[1:]] = value
	}
	return all
}

// Lays values over others, as Helm does with files of values.
func lay(upper, lower map[string]interface{}) {
	for name, value := range upper {
		above, isMap := value.(map[string]interface{})
		below, hasMap := lower[name].(map[string]interface{})
		if isMap && hasMap {
			lay(above, below)
		} else {
			lower[name] = value
		}
	}
}

func read(path string) map[string]interface{} {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	values := map[string]interface{}{}
	if err := yaml.Unmarshal(text, &values); err != nil {
		fail(fmt.Errorf("%s: %w", path, err))
	}
	return values
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
