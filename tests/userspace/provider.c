// SPDX-License-Identifier: GPL-2.0
#include "internal.h"
#include "tree.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOT_PORT	"pci0000:00"
#define BEHIND		"pci0000:00/0000:00:1c.0"
#define SWITCH		"pci0000:00/0000:00:1c.0/0000:01:00.0"

static void version(void)
{
	STR(revpin_version(), REVPIN_VERSION);
	EQ(revpin_supported(), 0);
	/* the list alone does not say so, nor does its absence */
	tree_file("sys/kernel/debug/pfn_revoke", "%s", "");
	EQ(revpin_supported(), 0);
	tree_file("sys/module/p2pdma/parameters/revoke_timeout", "30\n");
	EQ(revpin_supported(), 1);
	tree_remove("sys/kernel");
	EQ(revpin_supported(), 1);
}

static void bdf(void)
{
	static const char *const good[][2] = {
		{ "0000:00:04.0", "0000:00:04.0" }, { "4:0.0", "0000:04:00.0" },
		{ "00:1f.7", "0000:00:1f.7" }, { "AB:0C.3", "0000:ab:0c.3" },
		{ "10000:01:00.0", "10000:01:00.0" },
		{ "0:0:0.0", "0000:00:00.0" },
		{ "00000001:01:00.0", "0001:01:00.0" },
		{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
	};
	static const char *const bad[] = {
		"", "0", "0000", "00:04", "00:04.", "00:04.8", "00:20.0",
		"100:00.0", "0000:00:04.0 ", " 0000:00:04.0", "0000:00:04.0\n",
		"0000:00:04.00", "0000:00:04:0", "0:0:0:0.0", "-1:00.0",
		"0x0:00.0", ":00.0", "::.", "00::0.0", "00:04,0",
		"100000000:00:00.0", "0000:00:04.0/..", "04.0", "../0000:00:04.0",
		"nvme0", "pci0000:00", "00:g.0",
	};
	char out[REVPIN_BDF_SIZE];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		EQ(revpin_bdf(good[i][0], out), 0);
		STR(out, good[i][1]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ(revpin_bdf(bad[i], out), -EINVAL);
}

static void numbers(void)
{
	static const char *const bad[] = {
		"", "\n", " 1", "1 ", "-1", "+1", "0x", "0x0x1", "0xg", "x1",
		"1\n\n", "1x", "0x-1", "0x 1", "1.0", "abc",
	};
	uint64_t val;
	size_t i;

	EQ(rp_parse_u64("0", &val), 0);
	EQ(val, 0);
	EQ(rp_parse_u64("67108864\n", &val), 0);
	EQ(val, 67108864);
	EQ(rp_parse_u64("0xfeE0", &val), 0);
	EQ(val, 0xfee0);
	EQ(rp_parse_u64("010", &val), 0);
	EQ(val, 10);
	EQ(rp_parse_u64("18446744073709551615", &val), 0);
	CU_ASSERT(val == UINT64_MAX);
	EQ(rp_parse_u64("18446744073709551616", &val), -ERANGE);
	EQ(rp_parse_u64("0x10000000000000000", &val), -ERANGE);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ(rp_parse_u64(bad[i], &val), -EBADMSG);
}

static void list(void)
{
	struct revpin_provider **all;
	char driver[16];
	uint64_t val;

	EQ(revpin_provider_list(&all), 0);
	CU_ASSERT_PTR_NULL(all[0]);
	revpin_provider_list_free(all);
	revpin_provider_list_free(NULL);

	tree_provider(BEHIND, "0000:01:00.0", 1 << 20);
	tree_provider(ROOT_PORT, "10000:00:04.0", 1 << 16);
	tree_provider(ROOT_PORT, "0000:00:04.0", 1 << 16);
	tree_device(ROOT_PORT, "0000:00:05.0");
	tree_provider(ROOT_PORT, "ffff:00:04.0", 1 << 16);
	EQ(revpin_provider_list(&all), 4);
	STR(revpin_provider_bdf(all[0]), "0000:00:04.0");
	STR(revpin_provider_bdf(all[1]), "0000:01:00.0");
	STR(revpin_provider_bdf(all[2]), "ffff:00:04.0");
	STR(revpin_provider_bdf(all[3]), "10000:00:04.0");
	CU_ASSERT_PTR_NULL(all[4]);
	EQ(revpin_provider_size(all[1], &val), 0);
	EQ(val, 1 << 20);
	EQ(revpin_provider_available(all[1], &val), 0);
	EQ(val, (1 << 20) - 4096);
	EQ(revpin_provider_published(all[1]), 1);
	EQ(revpin_provider_driver(all[1], driver, sizeof(driver)), 0);
	STR(driver, "nvme");
	EQ(revpin_provider_driver(all[1], driver, 4), -ENOBUFS);
	EQ(revpin_provider_driver(all[1], driver, 5), 0);
	revpin_provider_list_free(all);

	tree_remove("sys/bus");
	EQ(revpin_provider_list(&all), 0);
	revpin_provider_list_free(all);
}

static void open_fails(void)
{
	struct revpin_provider *p;

	tree_device(ROOT_PORT, "0000:00:05.0");
	EQ(revpin_provider_open("0000:00:05", &p), -EINVAL);
	EQ(revpin_provider_open("0000:00:06.0", &p), -ENODEV);
	EQ(revpin_provider_open("0000:00:05.0", &p), -ENXIO);
	setenv("REVPIN_TEST_ROOT", "/", 1);
	EQ(revpin_provider_open("ffff:ff:1f.7", &p), -ENODEV);
}

/* What the kernel would never write, and a root that is too long a name. */
static void garbage(void)
{
	static const char file[] = "sys/devices/" ROOT_PORT
		"/0000:00:04.0/p2pmem/available";
	struct revpin_provider *p, **all;
	char name[1024], *root = strdup(getenv("REVPIN_TEST_ROOT"));
	uint64_t val = 4711;

	tree_provider(ROOT_PORT, "0000:00:04.0", 1 << 16);
	EQ(revpin_provider_open("00:04.0", &p), 0);
	STR(revpin_provider_bdf(p), "0000:00:04.0");
	tree_file(file, "many\n");
	EQ(revpin_provider_available(p, &val), -EBADMSG);
	tree_file(file, "%s", "");
	EQ(revpin_provider_available(p, &val), -EBADMSG);
	tree_bytes(file, "1\0002\n", 4);
	EQ(revpin_provider_available(p, &val), -EBADMSG);
	tree_file(file, "99999999999999999999\n");
	EQ(revpin_provider_available(p, &val), -ERANGE);
	EQ(val, 4711);

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("REVPIN_TEST_ROOT", name, 1);
	EQ(revpin_provider_available(p, &val), -ENAMETOOLONG);
	EQ(revpin_provider_list(&all), -ENAMETOOLONG);
	name[500] = '\0';
	setenv("REVPIN_TEST_ROOT", name, 1);
	EQ(revpin_provider_available(p, &val), -ENAMETOOLONG);
	setenv("REVPIN_TEST_ROOT", root, 1);
	revpin_provider_close(p);
	free(root);
}

static void gone(void)
{
	struct revpin_provider *p;
	struct revpin_mem *m;
	char buf[64];
	uint64_t val;

	tree_provider(ROOT_PORT, "0000:00:04.0", 1 << 16);
	EQ(revpin_provider_open("0000:00:04.0", &p), 0);
	/* the driver first, then the device */
	tree_remove("sys/devices/" ROOT_PORT "/0000:00:04.0/p2pmem");
	tree_remove("sys/devices/" ROOT_PORT "/0000:00:04.0/driver");
	EQ(revpin_provider_size(p, &val), -ENODEV);
	EQ(revpin_provider_available(p, &val), -ENODEV);
	EQ(revpin_provider_published(p), -ENODEV);
	EQ(revpin_provider_driver(p, buf, sizeof(buf)), -ENODEV);
	EQ(revpin_mem_map(p, 4096, &m), -ENODEV);
	tree_remove("sys/bus/pci/devices/0000:00:04.0");
	EQ(revpin_provider_size(p, &val), -ENODEV);
	EQ(revpin_provider_p2p(p, "0000:00:04.0", buf, sizeof(buf)), -ENODEV);
	revpin_provider_close(p);
	revpin_provider_close(NULL);
}

static void mem(void)
{
	struct revpin_provider *p;
	struct revpin_mem *m;
	unsigned char *at, pages[2];

	tree_provider(ROOT_PORT, "0000:00:04.0", 1 << 16);
	EQ(revpin_provider_open("0000:00:04.0", &p), 0);
	EQ(revpin_mem_map(p, 0, &m), -EINVAL);
	EQ(revpin_mem_map(p, 100, &m), -EINVAL);
	/* -ENOMEM; under valgrind -EINVAL */
	CU_ASSERT(revpin_mem_map(p, (size_t)1 << 62, &m) < 0);
	EQ(revpin_mem_map(p, 8192, &m), 0);
	EQ(revpin_mem_len(m), 8192);
	at = revpin_mem_addr(m);
	at[0] = 1;
	at[8191] = 2;
	EQ(at[0] + at[8191], 3);
	EQ(mincore(at, 8192, pages), 0);
	EQ(revpin_mem_unmap(m), 0);
	EQ(mincore(at, 8192, pages), -1);
	EQ(revpin_mem_unmap(NULL), 0);
	revpin_provider_close(p);
}

static void p2p(void)
{
	struct revpin_provider *p;
	char why[256], none[1] = "x";

	tree_device(ROOT_PORT, "0000:00:1c.0");
	tree_device(BEHIND, "0000:01:00.0");
	tree_provider(SWITCH, "0000:02:00.0", 1 << 16);
	tree_device(SWITCH, "0000:02:01.0");
	tree_device(ROOT_PORT, "0000:00:05.0");
	EQ(revpin_provider_open("0000:02:00.0", &p), 0);

	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_BRIDGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "0000:01:00.0"));
	EQ(revpin_provider_p2p(p, "0000:02:00.0", why, sizeof(why)),
	   REVPIN_P2P_BRIDGE);
	/* no room for the reason is no error */
	EQ(revpin_provider_p2p(p, "02:01.0", NULL, 0), REVPIN_P2P_BRIDGE);
	EQ(revpin_provider_p2p(p, "02:01.0", none, 1), REVPIN_P2P_BRIDGE);
	EQ(none[0], 0);
	EQ(revpin_provider_p2p(p, "0000:02", why, sizeof(why)), -EINVAL);
	EQ(revpin_provider_p2p(p, "0000:07:00.0", why, sizeof(why)), -ENODEV);

	/* source validation redirects nothing; the others each do */
	tree_acs(SWITCH, "0000:02:01.0", 1 << 0);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_BRIDGE);
	tree_acs(SWITCH, "0000:02:01.0", 1 << 2);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_UNKNOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "ACS"));
	/* the shared bridge itself does not count */
	tree_acs(SWITCH, "0000:02:01.0", 0);
	tree_acs(BEHIND, "0000:01:00.0", 1 << 2);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_BRIDGE);

	/* what others than root see of it */
	tree_file("sys/devices/" SWITCH "/0000:02:01.0/config", "%64d", 0);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_UNKNOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "root"));
	tree_file("sys/devices/" SWITCH "/0000:02:01.0/config", "%256d", 0);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_BRIDGE);

	EQ(revpin_provider_p2p(p, "0000:00:05.0", why, sizeof(why)),
	   REVPIN_P2P_UNKNOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "list"));
	tree_file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n"
		  "cpu family\t: 23\n");
	EQ(revpin_provider_p2p(p, "0000:00:05.0", why, sizeof(why)),
	   REVPIN_P2P_HOST);
	tree_acs(SWITCH, "0000:02:01.0", 1 << 5);
	EQ(revpin_provider_p2p(p, "0000:02:01.0", why, sizeof(why)),
	   REVPIN_P2P_HOST);
	tree_remove("proc/cpuinfo");
	EQ(revpin_provider_p2p(p, "0000:00:05.0", why, sizeof(why)), -ENOENT);
	revpin_provider_close(p);
}

static void cpus(void)
{
	CU_ASSERT_FALSE(rp_cpu_allows(""));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id\t: AuthenticAMD"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id\t: AuthenticAMD\n"
				      "cpu family\t: 22\n"));
	CU_ASSERT(rp_cpu_allows("vendor_id\t: AuthenticAMD\n"
				"cpu family\t: 23\n"));
	CU_ASSERT(rp_cpu_allows("x\n\nvendor_id: AuthenticAMD\n"
				"cpu family: 26"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id\t: Authentic\n"
				      "cpu family\t: 23\n"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id\t: AuthenticAMDx\n"
				      "cpu family\t: 23\n"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_id\t: HygonGenuine\n"
				      "cpu family\t: 24\n"));
	CU_ASSERT_FALSE(rp_cpu_allows("vendor_ids\t: AuthenticAMD\n"
				      "cpu family\t: 23\n"));
}

static void acs(void)
{
	uint8_t config[4096] = { 0 };

	EQ(rp_acs_redirects(config, 0), -ENODATA);
	EQ(rp_acs_redirects(config, 64), -ENODATA);
	EQ(rp_acs_redirects(config, 256), -ENODATA);
	EQ(rp_acs_redirects(config, sizeof(config)), 0);
	/* a list that leads back to itself, and one that leads out */
	config[0x100] = 1;
	config[0x103] = 0x10;
	EQ(rp_acs_redirects(config, sizeof(config)), -ENODATA);
	config[0x102] = 0xc1;
	config[0x103] = 0xff;
	EQ(rp_acs_redirects(config, sizeof(config)), -ENODATA);
	config[0x102] = 0x01;
	config[0x103] = 0xff;
	config[0xff0] = 0x0d;
	config[0xff6] = 0x08;
	EQ(rp_acs_redirects(config, sizeof(config)), 1);
	EQ(rp_acs_redirects(config, 0xff4), -ENODATA);
}

const struct unit provider_units[] = {
	{ "version", version }, { "bdf", bdf }, { "numbers", numbers },
	{ "list", list }, { "open_fails", open_fails }, { "garbage", garbage },
	{ "gone", gone }, { "mem", mem }, { "p2p", p2p }, { "cpus", cpus },
	{ "acs", acs }, { NULL, NULL },
};
