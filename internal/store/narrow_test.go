package store

import (
	"slices"
	"testing"
)

func TestNarrow(t *testing.T) {
	const text = `
WITH (x) -> nullIf(x, '') AS text, (x) -> x + 1 AS more, (SELECT groupArray(id) FROM things) AS ids
SELECT a.no AS no, text(a.name) AS name, arrayMap(e -> ids[e], g.list.2) AS things, g.list.4 AS days, g.list.1 AS wholes, more(c.n) AS n
FROM (SELECT * FROM accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
LEFT ANY JOIN (SELECT account, count() AS n FROM keys GROUP BY account) AS c ON c.account = a.no
LEFT ANY JOIN (
    SELECT account, arraySort(x -> (x.2, x.3), arrayZip(groupArray(whole), groupArray(thing), groupArray(way), groupArray(days))) AS list
    FROM (
        SELECT b.account AS account, b.whole AS whole, b.thing AS thing, b.way AS way, u.days AS days
        FROM grants AS b
        INNER JOIN known AS k ON k.thing = b.thing
        LEFT ANY JOIN (SELECT thing, days FROM uses) AS u ON u.thing = b.thing)
    GROUP BY account) AS g ON g.account = a.no`
	for _, tc := range []struct {
		name   string
		wanted []string
		want   string
	}{
		{"nothing joined", []string{"name"}, `
WITH (x) -> nullIf(x, '') AS text
SELECT text(a.name) AS name
FROM (SELECT * FROM accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
`},
		{"what sorts a list stays in it", []string{"things"}, `
WITH (SELECT groupArray(id) FROM things) AS ids
SELECT arrayMap(e -> ids[e], g.list.1) AS things
FROM (SELECT * FROM accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
LEFT ANY JOIN (SELECT account
, arraySort(x -> (x.1, x.2), arrayZip(groupArray(thing), groupArray(way))) AS list
FROM (SELECT b.account AS account
, b.thing AS thing
, b.way AS way
FROM grants AS b
INNER JOIN known AS k ON k.thing = b.thing
)
GROUP BY account
) AS g ON g.account = a.no
`},
		{"two of a list", []string{"days", "wholes"}, `
SELECT g.list.4 AS days
, g.list.1 AS wholes
FROM (SELECT * FROM accounts WHERE no BETWEEN {first:UInt32} AND {last:UInt32}) AS a
LEFT ANY JOIN (SELECT account
, arraySort(x -> (x.2, x.3), arrayZip(groupArray(whole), groupArray(thing), groupArray(way), groupArray(days))) AS list
FROM (SELECT b.account AS account
, b.whole AS whole
, b.thing AS thing
, b.way AS way
, u.days AS days
FROM grants AS b
INNER JOIN known AS k ON k.thing = b.thing
LEFT ANY JOIN (SELECT thing
, days
FROM uses
) AS u ON u.thing = b.thing
)
GROUP BY account
) AS g ON g.account = a.no
`},
	} {
		got, err := narrow(text, func(c string) bool { return slices.Contains(tc.wanted, c) })
		if err != nil {
			t.Fatal(tc.name, err)
		}
		wantEqual(t, tc.name, "\n"+got, tc.want)
	}
}
