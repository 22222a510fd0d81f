# weir: make, make run, make deps test, make install. `make help` lists the rest.

VERSION := $(shell awk '/define WEIR_VERSION_/ {v = v "." $$3} END {print substr(v, 2)}' include/weir/base.h)
SOVERSION := $(word 1,$(subst ., ,$(VERSION)))

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BUILD      ?= build
SAN        ?=
CI         ?=
V          ?=
Q          := $(if $(V),,@)
JOBS       ?= 2
FUZZ_SECONDS ?= 10

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wcast-qual -Wcast-align \
        -Wwrite-strings -Wpointer-arith -Wformat=2 -Wswitch-enum -Wredundant-decls \
        -Wimplicit-fallthrough -Wdouble-promotion -Wnull-dereference $(if $(CI),-Werror)
CFLAGS ?= -O2 -g
POSIX  := -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE
# Sums of real numbers are rounded alike everywhere: a policy decides the same on every machine.
ALL_CFLAGS = -std=c11 -ffp-contract=off $(POSIX) -Iinclude -Isrc -fPIC -fvisibility=hidden -pthread -MMD -MP $(WARN) \
             $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)
# Asked for only where a test is built: the library and the sidecar need a compiler and make.
CMOCKA_CFLAGS = $(shell pkg-config --cflags cmocka)
CMOCKA_LIBS   = $(shell pkg-config --libs cmocka)
has_cmocka    = $(shell $(CC) $(CMOCKA_CFLAGS) $(addprefix -include ,stdarg.h stddef.h setjmp.h stdint.h \
                  cmocka.h) -E -xc /dev/null > /dev/null 2>&1 && echo yes)

HDRS   := $(wildcard include/weir/*.h)
SRC    := $(sort $(wildcard src/*.c src/*/*.c))
OBJ    := $(SRC:%.c=$(BUILD)/%.o)
STATIC := $(BUILD)/libweir.a
SHARED := $(BUILD)/libweir.so.$(VERSION)

programs = $(patsubst %.c,$(BUILD)/%,$(wildcard $(1)))
UNIT    := $(call programs,tests/test_*.c)
ROOMS   := $(call programs,tests/base/test_*.c tests/net/test_*.c tests/balancer/test_*.c \
             tests/store/test_*.c)
SIMS    := $(call programs,tests/sim/test_*.c)
SYSTEM  := $(call programs,tests/integration/test_*.c)
FUZZERS := $(call programs,tests/fuzz/fuzz_*.c)
BENCHES := $(call programs,tests/bench/bench_*.c)
DEMOS   := $(call programs,examples/*.c)
SIDECAR := $(BUILD)/examples/sidecar/sidecar
TRACECONTEXT := $(BUILD)/examples/tracecontext/tracecontext
SUITE   := $(UNIT) $(ROOMS) $(SIMS) $(SYSTEM) $(FUZZERS) $(DEMOS) $(SIDECAR) $(TRACECONTEXT)

all: $(STATIC) $(SHARED) $(BUILD)/weir.pc ## build the libraries (default)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(STATIC): $(OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED): $(OBJ)
	$(Q)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libweir.so.$(SOVERSION) -Wl,--no-undefined -Wl,-z,nodelete $^ $(LDFLAGS) -o $@

$(BUILD)/weir.pc: pkgconfig/weir.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' $< > $@

$(BUILD)/tests/bench/%: tests/bench/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $< $(STATIC) $(LDFLAGS) -o $@

# Without -fsanitize=fuzzer, a fuzzer replays the files that it is given.
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $< $(STATIC) $(LDFLAGS) -o $@

$(BUILD)/tests/%: tests/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CMOCKA_CFLAGS) -Itests $< $(STATIC) $(CMOCKA_LIBS) $(LDFLAGS) -o $@

$(SIDECAR): $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/sidecar/*.c)) $(STATIC)
$(TRACECONTEXT): $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/tracecontext/*.c)) $(STATIC)
$(SIDECAR) $(TRACECONTEXT):
	$(Q)$(CC) $(ALL_CFLAGS) $^ $(LDFLAGS) -o $@

$(BUILD)/examples/%: examples/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $< $(STATIC) $(LDFLAGS) -o $@

run: $(SIDECAR) ## build the sidecar and start it
	$(SIDECAR) examples/sidecar/sidecar.conf

examples: $(DEMOS) $(SIDECAR) $(TRACECONTEXT) ## build the examples

deps: ## install what the tests and gates need, where it is missing
	@.ci/deps

suite: $(SUITE)

test: ## build and run all tests
	@$(MAKE) --no-print-directory -j$(JOBS) suite $(if $(has_cmocka),,UNIT= ROOMS= SIMS= SYSTEM=)
	@BUILD=$(BUILD) .ci/suite

report: $(BUILD)/tests/sim/test_scenarios ## write the report of the simulated scenarios anew
	@WEIR_REPORT=write $< > $(BUILD)/report.log 2>&1 || { cat $(BUILD)/report.log; exit 1; }
	@echo "report: tests/sim/scenarios.txt"

unit: $(UNIT) $(ROOMS) ## run the unit tests alone
	@for t in $^; do $(RUN) $$t || exit 1; done

asan: ## all tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory test BUILD=$(BUILD)/asan SAN=address,undefined
tsan: ## all tests under ThreadSanitizer
	@$(MAKE) --no-print-directory test BUILD=$(BUILD)/tsan SAN=thread
valgrind: ## unit tests under valgrind
	@if ! command -v valgrind > /dev/null; then echo "SKIPPED: valgrind: it is not installed"; \
	else $(MAKE) --no-print-directory -j$(JOBS) $(UNIT) $(ROOMS) > /dev/null && WEIR_VALGRIND=1 $(MAKE) --no-print-directory \
	    unit RUN='valgrind -q --leak-check=full --fair-sched=try --error-exitcode=1 --max-threads=2000' > $(BUILD)/valgrind.log 2>&1 || \
	    { cat $(BUILD)/valgrind.log; exit 1; }; echo "valgrind: nothing to say"; fi

headers: ## each public header stands alone, twice, in C11 and in C++
	@mkdir -p $(BUILD)
	@for h in $(HDRS:include/%=%); do \
	    printf '#include <%s>\n#include <%s>\nint x;\n' $$h $$h > $(BUILD)/h.c; \
	    $(CC) -std=c11 -Wall -Wextra -Wpedantic -Wc++-compat -Werror -Iinclude -c $(BUILD)/h.c -o /dev/null || exit 1; \
	    for s in 11 17 20; do $(CXX) -x c++ -std=c++$$s -Wall -Wextra -Wpedantic -Wold-style-cast -Werror -Iinclude -c $(BUILD)/h.c -o /dev/null || exit 1; done; \
	done; echo "headers: $(words $(HDRS)) stand alone"

layers: ## imports point downward only
	@awk -f .ci/layers.awk $(SRC) $(wildcard src/*/*.h) $(HDRS) $(wildcard examples/*.c examples/*/*.[ch] tests/test_*.c)

symbols: $(SHARED) $(STATIC) ## exports = tests/abi.txt; every global carries our prefix
	@nm -D --defined-only $(SHARED) | awk '{print $$3}' | LC_ALL=C sort | diff -u tests/abi.txt -
	@! nm -g --defined-only $(STATIC) | awk 'NF == 3 {print $$3}' | grep -v '^weir_'
	@echo "symbols: $$(wc -l < tests/abi.txt) exported"

$(BUILD)/single/weir.h: include/weir/weir.h $(HDRS) $(SRC) $(wildcard src/*/*.h) src/amalgamate.awk
	@mkdir -p $(@D)
	@awk -f src/amalgamate.awk include/weir/weir.h $(SRC) > $@

single: $(BUILD)/single/weir.h ## the one-header build, and the unmodified tests against it
	@CC="$(CC)" WARN="$(WARN)" CMOCKA="$(CMOCKA_CFLAGS) $(CMOCKA_LIBS)" .ci/single $(BUILD)/single

independent: $(OBJ) ## a program a module links with that module and base alone
	@.ci/independent $(BUILD) "$(CC) $(ALL_CFLAGS)"

installed: ## install into an empty folder; build and run a program against it from outside
	@.ci/installed

readme: ## every command and program of README.md works
	@.ci/readme

fuzz: ## each parser's fuzzer, FUZZ_SECONDS long
	@FUZZ_SECONDS=$(FUZZ_SECONDS) BUILD=$(BUILD) .ci/fuzz $(SRC)

lint: ## clang-format, clang-tidy, cppcheck, sizes
	@POSIX="$(POSIX)" .ci/lint

cover: ## coverage of lines and branches, by file
	@$(MAKE) --no-print-directory test BUILD=$(BUILD)/cover CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic'
	@.ci/cover $(BUILD)/cover

bench: $(BENCHES) ## one line a benchmark
	@for b in $^; do $$b || exit 1; done

check-all: ## every gate
	@$(MAKE) --no-print-directory headers layers symbols independent installed single readme
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang all examples
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory tsan
	@$(MAKE) --no-print-directory valgrind
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory cover
	@$(MAKE) --no-print-directory bench

install: all ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(INCLUDEDIR)/weir $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(HDRS) $(DESTDIR)$(INCLUDEDIR)/weir
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/libweir.so.$(SOVERSION)
	ln -sf libweir.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libweir.so
	install -m 644 $(BUILD)/weir.pc $(DESTDIR)$(LIBDIR)/pkgconfig

clean: ## remove build output
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' Makefile

FORCE:
.PHONY: all run examples deps suite test report unit asan tsan valgrind headers layers symbols single \
        independent installed readme fuzz lint cover bench check-all install clean help FORCE
-include $(OBJ:.o=.d) $(wildcard $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d $(BUILD)/examples/*.d $(BUILD)/examples/*/*.d)
