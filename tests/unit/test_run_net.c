// SPDX-License-Identifier: GPL-2.0-or-later
// The option -n: what it makes of its keys, what it refuses, and what comes without it.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../run-net.h"
#include "log.h"
#include "vm-config.h"

#include <cmocka.h>

static struct vm_config config;

static int setup(void **state)
{
	log_set_level(LOG_LEVEL_ERROR);
	config = (struct vm_config){ .name = "test" };
	return 0;
}

static int teardown(void **state)
{
	network_free(&config);
	return 0;
}

static struct net_config *parse(const char *argument)
{
	assert_int_equal(network_parse(&config, argument), 0);
	return &config.nets[config.net_count - 1];
}

static void refuse(const char *argument)
{
	unsigned before = config.net_count;

	assert_int_equal(network_parse(&config, argument), -EINVAL);
	assert_int_equal(config.net_count, before);
}

static void test_modes(void **state)
{
	assert_int_equal(parse("mode=user")->mode, NET_USER);
	assert_int_equal(parse("user")->mode, NET_USER);
	assert_int_equal(parse("mode=tap")->mode, NET_TAP);
	assert_int_equal(parse("mode=stream,path=/x")->mode, NET_STREAM);
	assert_int_equal(parse("path=/x,mode=stream")->mode, NET_STREAM);
	refuse("mode=bridge");
	refuse("usr");
	refuse("");
	refuse("mode=user,");
	assert_int_equal(config.net_count, 5);
}

// As with lkvm; but a key that only one mode has says enough.
static void test_no_mode(void **state)
{
	assert_int_equal(parse("guest_mac=02:00:00:00:00:01")->mode, NET_TAP);
	assert_int_equal(parse("host_ip=10.0.0.1")->mode, NET_TAP);
	assert_int_equal(parse("tapif=t0")->mode, NET_TAP);
	assert_int_equal(parse("hostfwd=tcp:1-2")->mode, NET_USER);
	assert_int_equal(parse("path=/x,listen")->mode, NET_STREAM);
}

static void test_defaults(void **state)
{
	const struct net_config *net = parse("tap");

	assert_int_equal(net->fd, -1);
	assert_true(net->any_mac);
	assert_false(net->optional || net->vhost || net->listen);
	assert_int_equal(net->mtu, 0);
	assert_int_equal(net->queue_pairs, 0);
	assert_null(net->tap_name);
	assert_null(net->script);
	assert_null(net->host_ip);
}

static void test_tap_keys(void **state)
{
	const struct net_config *net =
		parse("mode=tap,tapif=t0,mq=4,script=/up,downscript=/down,host_ip=10.0.0.1,"
		      "guest_ip=10.0.0.2,vhost=1,trans=mmio,mtu=9000,bridge=br0,helper=/h");

	assert_string_equal(net->tap_name, "t0");
	assert_int_equal(net->queue_pairs, 4);
	assert_string_equal(net->script, "/up");
	assert_string_equal(net->down_script, "/down");
	assert_string_equal(net->host_ip, "10.0.0.1");
	assert_string_equal(net->guest_ip, "10.0.0.2");
	assert_true(net->vhost);
	assert_int_equal(net->mtu, 9000);
	assert_string_equal(net->bridge, "br0");
	assert_string_equal(net->bridge_helper, "/h");
	net = parse("mode=tap,script=/up,script=none,fd=17,vhost=0");
	assert_null(net->script);
	assert_int_equal(net->fd, 17);
}

static void test_stream_keys(void **state)
{
	const struct net_config *net = parse("mode=stream,path=/run/s,listen=1");

	assert_string_equal(net->socket_path, "/run/s");
	assert_true(net->listen);
	assert_false(parse("mode=stream,fd=5")->listen);
	refuse("mode=stream");
	refuse("mode=stream,path=/x,fd=5");
}

static void test_mac(void **state)
{
	static const uint8_t wanted[] = { 0x02, 0x1a, 0xb, 0xcc, 0, 0xff };

	assert_memory_equal(parse("tap,mac=02:1a:b:CC:00:ff")->mac, wanted, 6);
	assert_false(config.nets[0].any_mac);
	refuse("tap,mac=02:1a:0b:cc:00");
	refuse("tap,mac=02:1a:0b:cc:00:ff:00");
	refuse("tap,mac=02:1a:0b:cc:00:fff");
	refuse("tap,mac=02:1a:0b:cc:00:");
	refuse("tap,mac=02:1a:0b:cc:00: 1");
	refuse("tap,mac=02:1a:0b:cc:00:-1");
	refuse("tap,mac=01:00:5e:00:00:01");
	refuse("tap,mac=00:00:00:00:00:00");
	refuse("tap,mac=");
}

static void test_numbers(void **state)
{
	assert_int_equal(parse("tap,mtu=68")->mtu, 68);
	assert_int_equal(parse("tap,mtu=65535")->mtu, 65535);
	refuse("tap,mtu=67");
	refuse("tap,mtu=65536");
	refuse("tap,mtu=1500x");
	refuse("tap,mtu=-1");
	refuse("tap,mq=0");
	refuse("tap,mq=9");
	refuse("tap,fd=-1");
	refuse("tap,fd=99999999999");
	refuse("tap,vhost=yes");
	refuse("tap,host_ip=10.0.0");
	refuse("tap,host_ip=::1");
}

static void test_rates(void **state)
{
	const struct net_config *net = parse("user,iops=1000,bw=10M:64M");

	assert_true(net->rate.ops.per_s == 1000 && net->rate.ops.burst == 0);
	assert_true(net->rate.bytes.per_s == 10 << 20 && net->rate.bytes.burst == 64 << 20);
	refuse("user,bw=fast");
	refuse("user,iops=0");
}

static void check_forward(const char *text, struct net_forward wanted)
{
	const struct net_forward *got;
	char argument[128];

	snprintf(argument, sizeof(argument), "user,hostfwd=%s", text);
	got = parse(argument)->forwards;
	assert_int_equal(got->udp, wanted.udp);
	assert_int_equal(got->host_port, wanted.host_port);
	assert_int_equal(got->guest_port, wanted.guest_port);
	assert_int_equal(!got->host_address, !wanted.host_address);
	if (wanted.host_address)
		assert_string_equal(got->host_address, wanted.host_address);
	assert_int_equal(!got->guest_address, !wanted.guest_address);
	if (wanted.guest_address)
		assert_string_equal(got->guest_address, wanted.guest_address);
}

static void test_forwards(void **state)
{
	check_forward("tcp:8080-80", (struct net_forward){ .host_port = 8080, .guest_port = 80 });
	check_forward("tcp::8080-:80", (struct net_forward){ .host_port = 8080, .guest_port = 80 });
	check_forward("udp:127.0.0.1:53-10.0.2.15:5353",
		      (struct net_forward){ .udp = true,
					    .host_address = "127.0.0.1",
					    .host_port = 53,
					    .guest_address = "10.0.2.15",
					    .guest_port = 5353 });
	check_forward("tcp:[::1]:22-[fe80::2]:23", (struct net_forward){ .host_address = "::1",
									 .host_port = 22,
									 .guest_address = "fe80::2",
									 .guest_port = 23 });
	assert_int_equal(parse("user,hostfwd=tcp:1-2,hostfwd=udp:3-4")->forward_count, 2);
	assert_int_equal(config.nets[config.net_count - 1].forwards[1].host_port, 3);
}

static void test_forwards_that_are_none(void **state)
{
	static const char *const bad[] = {
		"tcp:80",         "80-80",           "sctp:80-80",   "tcp:0-80",
		"tcp:80-0",       "tcp:65536-80",    "tcp:80-80-80", "tcp:host:80-80",
		"tcp:[::1:80-80", "tcp:1.2.3:80-80", "tcp:-80",      "tcp:80-",
		"tcp-80:80",      "tcp:[]:1-2",      "tcp:]:1-2",
	};
	char argument[128];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(argument, sizeof(argument), "user,hostfwd=%s", bad[i]);
		refuse(argument);
	}
}

static void test_keys_of_other_modes(void **state)
{
	refuse("mode=user,tapif=t0");
	refuse("tapif=t0,mode=user");
	refuse("mode=tap,hostfwd=tcp:1-2");
	refuse("mode=tap,backend=passt");
	refuse("mode=stream,path=/x,mq=2");
	refuse("mode=user,listen");
	refuse("mode=none,mac=02:00:00:00:00:01");
	refuse("mode=tap,hostfw=tcp:1-2");
	refuse("mode=tap,trans=pci");
	refuse("user,backend=vde");
	refuse("tap,fd=5,tapif=t0");
	refuse("tap,fd=5,mq=2");
	refuse("tap,helper=/h");
}

static void test_none(void **state)
{
	assert_int_equal(network_parse(&config, "none"), 0);
	assert_int_equal(network_parse(&config, "mode=none"), 0);
	assert_int_equal(network_finish(&config), 0);
	assert_int_equal(config.net_count, 0);
	assert_int_equal(network_parse(&config, "user"), -EINVAL);
}

static void test_none_after_a_network(void **state)
{
	parse("user");
	assert_int_equal(network_parse(&config, "none"), -EINVAL);
}

static void test_default_network(void **state)
{
	assert_int_equal(network_finish(&config), 0);
	assert_int_equal(config.net_count, 1);
	assert_int_equal(config.nets[0].mode, NET_USER);
	assert_true(config.nets[0].optional);
}

static void test_no_default_network(void **state)
{
	config.no_defaults = true;
	assert_int_equal(network_finish(&config), 0);
	assert_int_equal(config.net_count, 0);
}

static void test_default_macs(void **state)
{
	static const uint8_t third[] = { 0x02, 0x15, 0x15, 0x15, 0x15, 0x17 };
	uint8_t tap[6];

	parse("tap");
	parse("tap");
	parse("user");
	parse("user,mac=02:00:00:00:00:09");
	assert_int_equal(network_finish(&config), 0);
	assert_int_equal(config.net_count, 4);
	assert_int_equal(config.nets[0].mac[0], 0x02);
	assert_memory_not_equal(config.nets[0].mac, config.nets[1].mac, 6);
	assert_memory_equal(config.nets[2].mac, third, 6);
	assert_int_equal(config.nets[3].mac[5], 0x09);
	// The same for the same name, and another for another.
	memcpy(tap, config.nets[0].mac, 6);
	assert_int_equal(network_finish(&config), 0);
	assert_memory_equal(config.nets[0].mac, tap, 6);
	config.name = "other";
	assert_int_equal(network_finish(&config), 0);
	assert_memory_not_equal(config.nets[0].mac, tap, 6);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_no_mode),
		TEST(test_defaults),
		TEST(test_tap_keys),
		TEST(test_stream_keys),
		TEST(test_mac),
		TEST(test_numbers),
		TEST(test_rates),
		TEST(test_forwards),
		TEST(test_forwards_that_are_none),
		TEST(test_keys_of_other_modes),
		TEST(test_none),
		TEST(test_none_after_a_network),
		TEST(test_default_network),
		TEST(test_no_default_network),
		TEST(test_default_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
