# The layer rule: which of our headers a file may include. Files are given as arguments.

function room(path,    parts, n) {
    n = split(path, parts, "/")
    if (parts[1] == "include") return substr(parts[3], 1, length(parts[3]) - 2)
    if (parts[1] == "examples") return "examples"
    if (n == 2) return substr(parts[2], 1, length(parts[2]) - 2)
    return parts[2]
}

function layer(name) {
    if (name == "base" || name == "text") return 0
    if (name == "net" || name ~ /^(loop|http|address)$/) return 1
    if (name ~ /^(caller|gateway)$/) return 3
    if (name ~ /^(examples|weir)$/) return 4
    return 2
}

# What is named by an include: a public header, or a private one by its folder.
function target(name) {
    sub(/^weir\//, "", name)
    if (name ~ /\//) sub(/\/.*/, "", name)
    else sub(/[.]h$/, "", name)
    return name
}

/^#include (<weir\/|")/ {
    name = $2
    gsub(/[<>"]/, "", name)
    private = $2 ~ /^"/
    from = room(FILENAME)
    to = target(name)
    if (from == "examples") ok = !private || name !~ /\//
    else if (from == to || to == "base") ok = 1
    else ok = layer(to) < layer(from) || (layer(from) == 1 && layer(to) == 1) ||
              (layer(from) == 3 && layer(to) == 3 && from == "gateway")
    if (FILENAME ~ /^include/ && private) ok = 0
    if (!ok) {
        print FILENAME ": " $0 "   (" from " may not use " to ")"
        bad = 1
    }
    seen++
}
END {
    if (!bad) print "layers: " seen " includes point downward"
    exit bad
}
