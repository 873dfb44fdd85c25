// SPDX-License-Identifier: GPL-2.0
/*
 * The parsers of kernel text, over what a seeded generator makes of good text:
 * fuzz SEED ROUNDS. It is to be built with sanitizers, which do the finding.
 * What it checks besides: what was taken in is consistent, and is taken in
 * again.
 *
 * clang -fsanitize=fuzzer,address -DLIBFUZZER builds the same for libFuzzer.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static size_t walk(const struct revpin_holders *h)
{
	const struct revpin_range *r;
	const struct revpin_pin *p;
	size_t i, j, n = 0;

	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		check(revpin_range_start(r) <= revpin_range_end(r), "range");
		n += strlen(revpin_range_provider(r));
		n += strlen(revpin_state_name(revpin_range_state(r)));
		for (j = 0; (p = revpin_range_pin(r, j)); j++) {
			check(revpin_pin_start(p) <= revpin_pin_end(p), "pin");
			check(revpin_pin_pid(p) >= 0, "pid");
			n += strlen(revpin_pin_comm(p)) + 1;
			n += strlen(revpin_pin_consumer(p));
			n += strlen(revpin_state_name(revpin_pin_state(p)));
		}
		check(j == revpin_range_count(r), "count of pins");
	}
	check(i == revpin_holders_count(h), "count of ranges");
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct revpin_holders *h, *again;
	char bdf[REVPIN_BDF_SIZE], twice[REVPIN_BDF_SIZE], *text;
	uint64_t val;
	int err;

	err = revpin_holders_parse((const char *)data, size, &h);
	check(!err || err == -EBADMSG, "an error that is none of its own");
	if (!err) {
		check(!revpin_holders_parse((const char *)data, size, &again),
		      "the same text, refused");
		check(walk(h) == walk(again), "the same text, read otherwise");
		revpin_holders_free(again);
		revpin_holders_free(h);
	}
	err = rp_acs_redirects(data, size);
	check(err == 0 || err == 1 || err == -ENODATA, "ACS");
	text = malloc(size + 1);
	check(!!text, "memory");
	memcpy(text, data, size);
	text[size] = '\0';
	rp_cpu_allows(text);
	err = rp_parse_u64(text, &val);
	check(!err || err == -EBADMSG || err == -ERANGE, "number");
	if (!revpin_bdf(text, bdf))
		check(!revpin_bdf(bdf, twice) && !strcmp(bdf, twice), "BDF");
	free(text);
	return 0;
}

#ifndef LIBFUZZER
static const char *const seeds[] = {
	"range start=0x10000000 end=0x13ffffff state=open pins=2 provider=\"0000:00:04.0\"\n"
	"  pin start=0x10000000 end=0x100fffff bytes=1048576 state=attached since=14.023456 pid=131 consumer=\"ib_umem\" comm=\"a\\134\\042b\"\n"
	"pin start=0x10200000 end=0x10200fff bytes=4096 state=revoked since=0.000001 pid=0 consumer=\"vfio\" comm=\"\\303\"\n"
	"range start=0x20000000 end=0x20000fff state=part pins=0 provider=\"0000:00:05.0\"\n",
	"vendor_id\t: AuthenticAMD\ncpu family\t: 23\n",
	"18446744073709551615\n", "0xfee00000", "10000:01:1f.7", "4:0.0",
};

static const char *const bits[] = {
	"range ", "pin ", "start=", "end=", "state=", "since=", "comm=\"", "\"",
	"\\", "\\0", "\\377", "\n", "=", " ", "0x", "ffffffffffffffff", "-",
	".", ":", "18446744073709551616", "vendor_id:", "cpu family:",
};

static uint64_t state;

static unsigned int pick(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)((state >> 16) % n);
}

/* Cuts, doubles, flips and inserts. */
static size_t mutate(uint8_t *buf, size_t len, size_t max)
{
	unsigned int times = 1 + pick(6);
	size_t at, n;

	while (times--) {
		at = pick(len + 1);
		switch (pick(6)) {
		case 0:
			len = at;
			break;
		case 1:
			n = pick(len - at + 1);
			memmove(buf + at, buf + at + n, len - at - n);
			len -= n;
			break;
		case 2:
			n = pick(len - at + 1);
			if (len + n > max)
				break;
			memmove(buf + at + n, buf + at, len - at);
			len += n;
			break;
		case 3:
			if (at < len)
				buf[at] ^= (uint8_t)(1 << pick(8));
			break;
		case 4:
			if (at < len)
				buf[at] = (uint8_t)pick(256);
			break;
		default: {
			const char *bit = bits[pick(sizeof(bits) /
						    sizeof(bits[0]))];

			n = strlen(bit);
			if (len + n > max)
				break;
			memmove(buf + at + n, buf + at, len - at);
			memcpy(buf + at, bit, n);
			len += n;
		}
		}
	}
	return len;
}

int main(int argc, char **argv)
{
	uint8_t buf[4096], *exact;
	unsigned long rounds, i, good = 0;
	struct revpin_holders *h;
	size_t len;

	if (argc != 3 || !(state = strtoull(argv[1], NULL, 0)) ||
	    !(rounds = strtoul(argv[2], NULL, 0))) {
		fprintf(stderr, "usage: fuzz SEED ROUNDS (both above 0)\n");
		return 2;
	}
	for (i = 0; i < rounds; i++) {
		const char *seed = seeds[pick(sizeof(seeds) / sizeof(seeds[0]))];

		len = strlen(seed);
		memcpy(buf, seed, len);
		/* some stay as they are */
		if (pick(16))
			len = mutate(buf, len, sizeof(buf));
		/* no byte more than it says: reading on is seen */
		exact = malloc(len ? len : 1);
		check(!!exact, "memory");
		memcpy(exact, buf, len);
		LLVMFuzzerTestOneInput(exact, len);
		if (!revpin_holders_parse((const char *)exact, len, &h)) {
			good += revpin_holders_count(h) > 0;
			revpin_holders_free(h);
		}
		free(exact);
	}
	printf("%lu inputs, %lu of them taken in with a range\n", rounds, good);
	/* a generator that only makes rubbish tests nothing */
	return good < rounds / 100;
}
#endif
