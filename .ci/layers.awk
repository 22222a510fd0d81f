# The layer rule of the house: which of our headers a file may include. Files are arguments.
# What the rooms above the modules may include of the public headers, beside their own:
BEGIN {
    public["store"] = public["registry"] = public["config"] = "base kv"
    public["http"] = "base address loop"
    public["loop"] = "base address"
    public["caller"] = "base breaker balancer limiter outlier retry"
    public["propagation"] = public["tracer"] = public["sampler"] = public["trace_store"] = public["tail"] = public["metrics"] = "base trace"
    public["telemetry"] = "base trace metrics address loop http otlp tracer sampler propagation span_writer"
    public["instrument"] = "base trace tracer propagation metrics address loop http breaker balancer limiter outlier retry caller"
    public["mesh"] = "base kv config registry caller breaker balancer limiter outlier retry"
    public["gateway"] = "base address loop http breaker balancer limiter outlier retry caller health probe_http probe_tcp kv store config registry mesh admin trace tracer propagation metrics instrument"
    public["admin"] = "base kv address loop http config registry"
    public["otlp"] = "base trace metrics address loop http retry"
    public["span_writer"] = "base trace"
    public["probe_http"] = "base address loop http health"
    public["probe_tcp"] = "base address loop health"
    private["gateway"] = private["otlp"] = private["telemetry"] = private["probe_http"] = private["probe_tcp"] = "net/"
    net = "base address loop http"
}
function among(word, list) { return index(" " list " ", " " word " ") > 0 }

# The headers that a room may include: its own, base.h, and what the table says.
function public_ok(room, header) {
    if (room == "base")
        return among(header, "base kv trace")
    if (room == "net")
        return among(header, net)
    return header == "base" || (room != "base" && (header == room || among(header, public[room])))
}
function private_ok(room, path) {
    if (path ~ /^base\//)
        return 1
    if (room == "base")
        return 0
    return index(path, room "/") == 1 || (private[room] != "" && index(path, private[room]) == 1)
}
function allowed(file, name,    room, header, ours) {
    ours = name ~ /^<weir\//
    header = name
    gsub(/^<weir\/|[.]h>$|"/, "", header)
    if (file ~ /^include\//) {
        room = file
        gsub(/^include\/weir\/|[.]h$/, "", room)
        return ours && (room == "weir" || (room == "base" ? 0 : public_ok(among(room, "kv trace") ? "base" : room, header)))
    }
    if (file ~ /^src\//) {
        room = substr(file, 5)
        sub(/[\/.].*/, "", room)
        return ours ? public_ok(room, header) : private_ok(room, header)
    }
    if (file ~ /^examples\//)
        return ours || (file ~ /^examples\/.*\// && header !~ /\//)
    return ours || header ~ /^support\// # tests/*.c: public headers alone.
}
/^[ \t]*#[ \t]*include[ \t]+(<weir\/|")/ {
    seen++
    if ($0 !~ /^#include [<"]/)
        complaint = "not in the form that amalgamate.awk reads: "
    else if (!allowed(FILENAME, $2))
        complaint = ""
    else
        next
    print FILENAME ":" FNR ": " complaint $0
    bad++
}
END {
    if (bad)
        exit 1
    print "layers: " seen " includes point downward"
}
