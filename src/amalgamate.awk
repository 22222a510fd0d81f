# Makes one header of the library:
#     awk -f src/amalgamate.awk include/weir/weir.h src/*.c src/*/*.c > weir.h
# The first file is the public half; the others follow under WEIR_IMPLEMENTATION. An #include of
# ours is replaced by the file that it names, the first time; those of the system stay.

function locate(name,    i, n, dirs, path, line, found) {
    n = split("include src", dirs, " ")
    for (i = 1; i <= n; i++) {
        path = dirs[i] "/" name
        found = (getline line < path) > 0
        close(path)
        if (found)
            return path
    }
    print "amalgamate: there is no " name > "/dev/stderr"
    exit 1
}

function pour(path,    line, name) {
    if (poured[path]++)
        return
    printf "\n/* ==== %s ==== */\n", path
    while ((getline line < path) > 0) {
        if (line !~ /^#include (<weir\/|")/) {
            print line
            continue
        }
        name = line
        gsub(/^#include [<"]|[>"].*$/, "", name)
        pour(locate(name))
    }
    close(path)
}

BEGIN {
    print "/* weir in one header, made by src/amalgamate.awk. In one C file of the program, before any"
    print " * other #include:  #define WEIR_IMPLEMENTATION  and everywhere:  #include \"weir.h\" */"
    print "#ifdef WEIR_IMPLEMENTATION"
    print "#ifndef _POSIX_C_SOURCE"
    print "#define _POSIX_C_SOURCE 200809L"
    print "#endif"
    print "#ifndef _DEFAULT_SOURCE"
    print "#define _DEFAULT_SOURCE"
    print "#endif"
    print "#endif"
    pour(ARGV[1])
    print "\n#if defined(WEIR_IMPLEMENTATION) && !defined(WEIR_IMPLEMENTED)"
    print "#define WEIR_IMPLEMENTED"
    for (i = 2; i < ARGC; i++)
        pour(ARGV[i])
    print "\n#endif /* WEIR_IMPLEMENTATION */"
}
