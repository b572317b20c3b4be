package apis

import (
	"regexp"
	"strings"
)

// maxFilter bounds a filter, in bytes, after
// https://cloud.google.com/logging/docs/view/logging-query-language.
const maxFilter = 20_000

// filterToken is a piece of a filter in Cloud Logging's or Cloud Monitoring's
// language: text in quotes, a comparison, a parenthesis, or a word.
var filterToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|!=|=~|!~|<=|>=|[=<>:()]|--[^\n]*|[^\s"=<>:()!]+|!|\S`)

// checkFilter finds what makes a filter unreadable: quotes and parentheses that
// do not match, a comparison with nothing on one side, an operator at an end. It
// does not know the fields there are.
func checkFilter(filter string) (problem string) {
	if len(filter) > maxFilter {
		return "it is too long"
	}
	depth, wanting := 0, true // wanting: what comes next must be a value
	last := ""
	for _, token := range filterToken.FindAllString(filter, -1) {
		if strings.HasPrefix(token, "--") {
			continue
		}
		switch {
		case token == `"`:
			return "a quote is not closed"
		case token == "(":
			depth++
			wanting = true
		case token == ")":
			depth--
			if depth < 0 {
				return "a parenthesis is closed that was not opened"
			}
			if wanting {
				return "something is missing before )"
			}
		case isFilterComparison(token), token == "AND", token == "OR":
			if wanting {
				return "something is missing before " + token
			}
			wanting = true
		default:
			wanting = token == "NOT"
		}
		last = token
	}
	switch {
	case depth > 0:
		return "a parenthesis is not closed"
	case wanting && last != "":
		return "something is missing after " + last
	}
	return ""
}

func isFilterComparison(token string) bool {
	switch token {
	case "=", "!=", "=~", "!~", "<", ">", "<=", ">=", ":":
		return true
	}
	return false
}
