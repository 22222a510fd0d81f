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

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wcast-qual -Wcast-align \
        -Wwrite-strings -Wpointer-arith -Wformat=2 -Wswitch-enum -Wredundant-decls \
        -Wimplicit-fallthrough -Wdouble-promotion -Wnull-dereference $(if $(CI),-Werror)
CFLAGS ?= -O2 -g
POSIX  := -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE
ALL_CFLAGS := -std=c11 $(POSIX) -Iinclude -Isrc -fPIC -fvisibility=hidden -pthread -MMD -MP $(WARN) \
              $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(CFLAGS)
CMOCKA_CFLAGS ?= $(shell pkg-config --cflags cmocka)
CMOCKA_LIBS   ?= $(shell pkg-config --libs cmocka)

HDRS   := $(wildcard include/weir/*.h)
SRC    := $(sort $(wildcard src/*.c src/*/*.c))
OBJ    := $(SRC:%.c=$(BUILD)/%.o)
STATIC := $(BUILD)/libweir.a
SHARED := $(BUILD)/libweir.so.$(VERSION)

tests_in = $(patsubst %.c,$(BUILD)/%,$(wildcard $(1)))
UNIT    := $(call tests_in,tests/test_*.c)
ROOMS   := $(call tests_in,tests/base/test_*.c tests/net/test_*.c)
SIMS    := $(call tests_in,tests/sim/test_*.c)
SYSTEM  := $(call tests_in,tests/integration/test_*.c)
FUZZERS := $(call tests_in,tests/fuzz/fuzz_*.c)
BENCHES := $(call tests_in,tests/bench/bench_*.c)
DEMOS   := $(call tests_in,examples/*.c)
SIDECAR := $(BUILD)/examples/sidecar/sidecar
PROGRAMS := $(UNIT) $(ROOMS) $(SIMS) $(SYSTEM) $(FUZZERS) $(BENCHES) $(DEMOS)

all: $(STATIC) $(SHARED) $(BUILD)/weir.pc ## build the libraries (default)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(STATIC): $(OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED): $(OBJ)
	$(Q)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,libweir.so.$(SOVERSION) -Wl,--no-undefined -Wl,-z,nodelete $^ $(LDFLAGS) -o $@

$(BUILD)/tests/%: tests/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CMOCKA_CFLAGS) -Itests $< $(STATIC) $(CMOCKA_LIBS) $(LDFLAGS) -o $@

$(BUILD)/tests/bench/%: tests/bench/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $< $(STATIC) $(LDFLAGS) -o $@

# Without -fsanitize=fuzzer, each fuzzer carries a main() that replays the files it is given.
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $< $(STATIC) $(LDFLAGS) -o $@

$(BUILD)/examples/%: examples/%.c $(STATIC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $< $(STATIC) $(LDFLAGS) -o $@

unit: $(UNIT) $(ROOMS) ## run the unit tests
	@for t in $^; do $(RUN) $$t || exit 1; done

clean: ## remove build output
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' Makefile

.PHONY: all unit clean help
-include $(OBJ:.o=.d) $(PROGRAMS:=.d)
