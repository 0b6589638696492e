# SPDX-License-Identifier: GPL-2.0-only
# Splits a client's INI file: [netboot] to the file NETBOOT as KEY=VALUE, the rest to the file USER; OPTIONS has lines
# SECTION.KEY=VALUE that win over the file's.

function put(section, key, value)
{
	if (section == "netboot")
		print key "=" value >netboot
	else
		print key " = " value >user
}

function put_options(section,    i)
{
	for (i = 1; i <= count; i++)
		if (of[i] == section)
			put(section, key[i], value[i])
}

function begin(section)
{
	done[section] = 1
	if (section != "netboot")
		print "[" section "]" >user
	put_options(section)
}

BEGIN {
	printf "" >netboot
	printf "" >user
	while ((getline line <options) > 0) {
		equals = index(line, "=")
		dot = index(line, ".")
		name = substr(line, 1, equals - 1)
		for (i = 1; i <= count && of[i] "." key[i] != name; i++)
			;
		if (i > count)
			count = i
		of[i] = substr(line, 1, dot - 1)
		key[i] = substr(line, dot + 1, equals - dot - 1)
		value[i] = substr(line, equals + 1)
		given[name] = 1
	}
}

/^[ \t]*([;#].*)?\r?$/ { next }

/^\[/ {
	section = substr($0, 2, index($0, "]") - 2)
	begin(section)
	next
}

{
	sub(/\r$/, "")
	name = $1
	sub(/=.*/, "", name)
	if ((section "." name) in given)
		next
	if (section != "netboot") {
		print >user
		next
	}
	rest = substr($0, index($0, "=") + 1)
	sub(/^[ \t]+/, "", rest)
	sub(/[ \t]+([;#].*)?$/, "", rest)
	put(section, name, rest)
}

END {
	for (i = 1; i <= count; i++)
		if (!(of[i] in done))
			begin(of[i])
}
