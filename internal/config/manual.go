package config

import (
	"encoding/json"
	"fmt"
	"strings"
)

// word names a value, with an article's noun behind it.
func (d Definition) word() string {
	return map[Form]string{Text: "text", URL: "URL", File: "path", Listener: "HOST:PORT", Duration: "duration", Switch: "true or false", List: "list"}[d.Form]
}

func (d Definition) example() string {
	if d.Default != "" {
		return d.Default
	}
	return map[Form]string{
		Text: "TEXT", URL: "postgres://USER@HOST/DATABASE", File: "/path/to/file", Listener: "127.0.0.1:2113", Duration: "24h", Switch: "true", List: "[orders-]",
	}[d.Form]
}

// Manual is the table of all settings, in Markdown.
func Manual() string {
	var b strings.Builder
	b.WriteString("| key | flag | variable | takes | default |\n|---|---|---|---|---|\n")
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	for _, d := range Definitions() {
		key, flag, takes := code(d.Key), "", d.word()+": "+d.Phrase()
		if d.Flag != "" {
			flag = code("--" + d.Flag)
			if d.Command != "" {
				flag += " of " + code(d.Command)
			}
		}
		switch {
		case d.Secret:
			key, takes = "never in a file", d.Phrase()
		case d.Named:
			takes += "; only in a file that `--config` names"
		case d.Server:
			takes += " ¹"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", key, flag, code(d.Variable), takes, code(d.Default))
	}
	return b.String()
}

// JSONSchema is the schema of the configuration file, for editors.
func JSONSchema() ([]byte, error) {
	object := func() map[string]any {
		return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
	}
	root := object()
	root["$schema"], root["title"] = "https://json-schema.org/draft/2020-12/schema", "Configuration of gxpledger ("+FileName+")"
	properties := func(of map[string]any) map[string]any {
		found, _ := of["properties"].(map[string]any)
		return found
	}
	for _, d := range Definitions() {
		if d.Secret {
			continue
		}
		at, name := properties(root), d.Key
		if section, below, ok := strings.Cut(d.Key, "."); ok {
			if at[section] == nil {
				at[section] = object()
			}
			inner, _ := at[section].(map[string]any)
			at, name = properties(inner), below
		}
		at[name] = d.schema()
	}
	return json.MarshalIndent(root, "", "  ")
}

func (d Definition) schema() map[string]any {
	out := map[string]any{"description": d.Phrase(), "type": "string", "minLength": 1}
	switch d.Form {
	case Switch:
		out = map[string]any{"description": d.Phrase(), "type": "boolean"}
	case List:
		out = map[string]any{"description": d.Phrase(), "type": "array", "items": map[string]any{"type": "string"}}
	case Duration:
		out["pattern"] = `^[+]?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`
	case Listener:
		out["pattern"] = `:[^:]*$`
	case Text, URL, File:
	}
	if d.Default != "" && d.Form != Switch {
		out["default"] = d.Default
	}
	return out
}
