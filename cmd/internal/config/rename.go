package config

import "github.com/spf13/pflag"

// renamed is the annotation of a flag that another setting, or none, stands for.
const renamed = "setting"

// Rename has the setting of another name stand for a flag; "" for none. It is
// for a command in which a flag's name means something else than elsewhere.
func Rename(flags *pflag.FlagSet, flag, setting string) {
	if f := flags.Lookup(flag); f != nil {
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[renamed] = []string{setting}
	}
}

// Setting is the name of a flag's setting; "" where it has none.
func Setting(f *pflag.Flag) string {
	if to, ok := f.Annotations[renamed]; ok {
		return to[0]
	}
	return f.Name
}
