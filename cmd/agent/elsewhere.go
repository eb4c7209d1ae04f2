package main

import "fmt"

// elsewhere are the commands of other tools, and which of ours do that. Where
// none does it, the text says so.
var elsewhere = map[string]string{
	"cp": "'%[1]s upload' sends, '%[1]s download' fetches", "copy": "'%[1]s upload' sends, '%[1]s download' fetches",
	"copyto": "'%[1]s upload' sends, '%[1]s download' fetches", "put": "'%[1]s upload' sends", "push": "'%[1]s upload' sends",
	"get": "'%[1]s download' fetches", "pull": "'%[1]s download' fetches",
	"list": "'%[1]s ls' lists", "lsf": "'%[1]s ls' lists", "lsl": "'%[1]s ls -l' lists", "du": "'%[1]s ls -r --total' counts",
	"del": "'%[1]s rm' deletes", "delete": "'%[1]s rm' deletes", "purge": "'%[1]s rm -r' deletes", "remove": "'%[1]s rm' deletes",
	"check": "'%[1]s verify' compares", "configure": "'%[1]s login' or '%[1]s creds paste'; for settings '%[1]s config'",
	"benchmark": "'%[1]s bench' measures the link", "speedtest": "'%[1]s bench' measures the link",
	"resume": "the same command again goes on; or '%[1]s jobs resume'",
	"mv":     noMoving, "move": noMoving, "moveto": noMoving,
	"presign": noSigning, "signurl": noSigning, "link": noSigning,
	"mb": noBuckets, "rb": noBuckets,
}

const (
	noMoving  = "nothing is moved or copied within the store here: use the AWS CLI, for example"
	noSigning = "no links are signed here: use the AWS CLI, for example"
	noBuckets = "buckets are not made or removed here: use the AWS CLI, for example"
)

// meantBy says which of our commands does what word does in another tool; ""
// where it is no such word.
func meantBy(name, word string) string {
	text, ok := elsewhere[word]
	if !ok || text == noMoving || text == noSigning || text == noBuckets {
		return text
	}
	return fmt.Sprintf(text, name)
}
