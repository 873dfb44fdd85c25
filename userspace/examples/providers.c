// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* The devices that offer memory, and whether a given device can reach it. */
#include <revpin.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct revpin_provider **list;
	uint64_t size, available;
	int i, n, p2p;
	char why[256];

	n = revpin_provider_list(&list);
	if (n < 0) {
		fprintf(stderr, "providers: %s\n", strerror(-n));
		return 1;
	}
	for (i = 0; i < n; i++) {
		/* it may have gone away since */
		if (revpin_provider_size(list[i], &size) ||
		    revpin_provider_available(list[i], &available))
			continue;
		printf("%s: %llu bytes, %llu available\n",
		       revpin_provider_bdf(list[i]),
		       (unsigned long long)size, (unsigned long long)available);
		if (argc < 2)
			continue;
		p2p = revpin_provider_p2p(list[i], argv[1], why, sizeof(why));
		if (p2p < 0)
			printf("  %s: %s\n", argv[1], strerror(-p2p));
		else
			printf("  %s: %s (%s)\n", argv[1],
			       p2p == REVPIN_P2P_UNKNOWN ? "maybe" : "yes", why);
	}
	revpin_provider_list_free(list);
	return 0;
}
