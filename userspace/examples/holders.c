// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* Who holds memory of which device? To be run by root. */
#include <revpin.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	const struct revpin_range *range;
	const struct revpin_pin *pin;
	struct revpin_holders *h;
	size_t i, j;
	int err;

	err = revpin_holders_read(&h);
	if (err) {
		fprintf(stderr, "holders: %s\n", strerror(-err));
		return 1;
	}
	for (i = 0; (range = revpin_holders_range(h, i)); i++)
		for (j = 0; (pin = revpin_range_pin(range, j)); j++)
			printf("%s: pid %d, %s, %llu bytes, %s\n",
			       revpin_range_provider(range),
			       revpin_pin_pid(pin), revpin_pin_consumer(pin),
			       (unsigned long long)revpin_pin_bytes(pin),
			       revpin_state_name(revpin_pin_state(pin)));
	revpin_holders_free(h);
	return 0;
}
