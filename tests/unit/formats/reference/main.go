// Command reference reads a JSON list of YAML texts and writes what sigs.k8s.io/yaml makes of each:
// its JSON, whether it is an error, and whether it is one in strict mode (duplicate keys).
package main

import (
	"encoding/json"
	"log"
	"os"

	"sigs.k8s.io/yaml"
)

type answer struct {
	YAML   string          `json:"yaml"`
	JSON   json.RawMessage `json:"json,omitempty"`
	Error  bool            `json:"error,omitempty"`
	Strict bool            `json:"strict_error,omitempty"`
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		log.Fatal(err)
	}
	answers := make([]answer, 0, len(texts))
	for _, text := range texts {
		found, err := yaml.YAMLToJSON([]byte(text))
		_, strict := yaml.YAMLToJSONStrict([]byte(text))
		one := answer{YAML: text, Error: err != nil, Strict: strict != nil}
		if err == nil {
			one.JSON = found
		}
		answers = append(answers, one)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, one := range answers {
		if err := encoder.Encode(one); err != nil {
			log.Fatal(err)
		}
	}
}
