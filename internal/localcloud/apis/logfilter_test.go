package apis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAFilterThatCannotBeReadIsFound(t *testing.T) {
	for filter, want := range map[string]string{
		``: "",
		`resource.type="cloud_run_revision" AND resource.labels.service_name="berth-acme"`: "",
		`severity>=ERROR (a OR NOT b) -c:"x y" textPayload=~"a\"b" jsonPayload.n:*`:        "",
		"a=1 -- a remark that says AND\nb=2":                                               "",
		`httpRequest.status!=(401 OR 403)`:                                                 "",
		`labels."a/b"="c"`:                                                                 "",
		`a="b`:                                                                             "a quote is not closed",
		`(a=1`:                                                                             "a parenthesis is not closed",
		`a=1)`:                                                                             "a parenthesis is closed that was not opened",
		`a=1 AND`:                                                                          "something is missing after AND",
		`a=`:                                                                               "something is missing after =",
		`=1`:                                                                               "something is missing before =",
		`a=1 AND OR b=2`:                                                                   "something is missing before OR",
		`()`:                                                                               "something is missing before )",
	} {
		assert.Equal(t, want, checkFilter(filter), filter)
	}
}
