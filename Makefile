# SPDX-License-Identifier: GPL-2.0
# The commands; what they do is in scripts/.

MAKEFLAGS += --no-print-directory
export KSRC KTARBALL REVPIN_CACHE JOBS V REVPIN_ACCEL
# Not when it is empty: the kernel's make would take that for an architecture.
ifneq ($(ARCH),)
export ARCH
else
unexport ARCH
endif

# Set when the guest is not what the host is.
OTHER := $(filter-out x86_64,$(ARCH))

.PHONY: help args deps kernel kernel-debug image userspace install demo demo-two check models \
	check-native check-mutations check-cost check-distros stress check-selftests lint shell series bench check-long \
	check-faults series-check clean

help:
	@scripts/help

# Every target that builds looks at its variables first.
args:
	@scripts/check-args $(MAKECMDGOALS)

deps: args
	@scripts/deps

kernel: args
	@scripts/build-kernel $(or $(OTHER),plain)

kernel-debug: args
	@scripts/build-kernel debug

image: args
	@qemu-images/build $(if $(OTHER),--arch $(OTHER))

userspace: args
	@$(MAKE) -s -C userspace

# Not "deps": the tools are there when "make userspace" has worked.
install: args
	@$(MAKE) -s -C userspace install

demo: deps
	@scripts/demo

demo-two: deps
	@scripts/demo two

check: deps
	@scripts/check $(BOOT)

models: deps
	@scripts/models

check-native: deps
	@scripts/check-native

check-mutations: deps
	@scripts/check-mutations

stress: deps
	@MINUTES="$(MINUTES)" SEED="$(SEED)" ROUND="$(ROUND)" KERNEL="$(KERNEL)" HOTPLUG="$(HOTPLUG)" scripts/stress

check-selftests: deps
	@scripts/check-selftests

# Not "deps": the roots install what they need themselves.
check-distros: args
	@DISTRO="$(DISTRO)" TARGET="$(TARGET)" scripts/check-distros

lint: args
	@tests/host/lint

shell: deps
	@scripts/run-guest --run shell --kernel-variant $(or $(OTHER),$(if $(DEBUG),debug,plain)) --append "$(APPEND)"

series: args
	@scripts/series mail build/series

# Both, whatever the first says.
bench: deps
	@status=0; scripts/bench || status=1; scripts/check-cost || status=1; exit $$status

check-cost: deps
	@scripts/check-cost

check-long: deps
	@scripts/check --long

check-faults: deps
	@scripts/check --only long-faults kunit-debug

series-check: deps
	@scripts/series check

clean:
	@rm -rf build
	@scripts/help clean

# A word that is no target: say what there is.
%:
	@echo "revpin: error: '$@' is not a target; make help lists them" >&2; exit 1
