// SPDX-License-Identifier: GPL-2.0
/* revpin: who holds memory of a device that is to go away, and let it go. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool want_json;

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage, *help;
} commands[] = {
	{ "list", cmd_list, "list [--to BDF]",
	  "devices that offer memory; --to: can that device reach it?" },
	{ "holders", cmd_holders, "holders [BDF]",
	  "who holds their memory, and would lose it" },
	{ "unbind", cmd_unbind, "unbind [--dry-run] [--yes] [--timeout S] BDF",
	  "take the driver off a device, and show who is hit and when" },
	{ "watch", cmd_watch, "watch [--interval MS] [--for S] [BDF]",
	  "print what is pinned, revoked and let go, as it happens" },
	{ "check", cmd_check, "check",
	  "is this machine ready? Each \"no\" says what to do" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	size_t i;

	printf("revpin: long-term pins of PCI peer-to-peer memory, and how to end them\n\n"
	       "usage: revpin [--json] COMMAND ...\n\n");
	for (i = 0; i < NR_COMMANDS; i++)
		printf("  %s\n        %s\n", commands[i].usage,
		       commands[i].help);
	printf("\n  --json     for programs: numbers in bytes and microseconds\n"
	       "  --version, --help\n\n"
	       "BDF is a PCI address such as 0000:04:00.0 or 04:00.0.\n"
	       "Exit status: 0 done, 1 the answer is no, 2 usage, 3 no such device,\n"
	       "4 no permission, 5 not with this kernel, 6 not in time, 7 other errors,\n"
	       "8 no list of who holds what: debugfs is not mounted.\n");
}

static int dispatch(int argc, char **argv)
{
	size_t i;

	for (argc--, argv++; argc && argv[0][0] == '-'; argc--, argv++) {
		if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
			help();
			return EXIT_DONE;
		} else if (!strcmp(argv[0], "--version")) {
			printf("revpin %s\n", revpin_version());
			return EXIT_DONE;
		} else if (!strcmp(argv[0], "--json")) {
			want_json = true;
		} else {
			return fail(EXIT_USAGE, "the option '%s' is not known before a command; revpin --help lists what there is",
				    argv[0]);
		}
	}
	if (!argc)
		return fail(EXIT_USAGE, "a command is missing: list, holders, unbind, watch or check; revpin --help says more");
	for (i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		if (argc > 1 && (!strcmp(argv[1], "--help") ||
				 !strcmp(argv[1], "-h"))) {
			printf("usage: revpin [--json] %s\n        %s\n",
			       commands[i].usage, commands[i].help);
			return EXIT_DONE;
		}
		return commands[i].run(argc, argv);
	}
	return fail(EXIT_USAGE, "'%s' is not a command; there are list, holders, unbind, watch and check",
		    argv[0]);
}

int main(int argc, char **argv)
{
	int code = dispatch(argc, argv);

	/* half an answer must not look like a whole one */
	if ((fflush(stdout) || ferror(stdout)) && code < EXIT_USAGE)
		code = fail(EXIT_OTHER, "the output cannot be written: %s",
			    strerror(errno));
	return code;
}
