// SPDX-License-Identifier: GPL-2.0-or-later
// Reads "PROTO:[ADDR:]PORT-[ADDR:]PORT"; an IPv6 address stands in brackets.

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "slirp-helper.h"

static bool parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value < 1 || value > 65535)
		return false;
	*port = htons((uint16_t)value);
	return true;
}

static bool make_v4(struct endpoint *endpoint, const char *address, const char *port)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&endpoint->address;

	in4->sin_family = AF_INET;
	endpoint->len = sizeof(*in4);
	return inet_pton(AF_INET, address, &in4->sin_addr) == 1 && parse_port(port, &in4->sin_port);
}

static bool make_v6(struct endpoint *endpoint, const char *address, const char *port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&endpoint->address;

	in6->sin6_family = AF_INET6;
	endpoint->len = sizeof(*in6);
	return inet_pton(AF_INET6, address, &in6->sin6_addr) == 1 &&
	       parse_port(port, &in6->sin6_port);
}

// "[ADDR:]PORT". Changes @text.
static bool parse_endpoint(struct endpoint *endpoint, char *text)
{
	char *end;

	*endpoint = (struct endpoint){ .len = 0 };
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return false;
		*end = '\0';
		return make_v6(endpoint, text + 1, end + 2);
	}
	end = strchr(text, ':');
	if (!end)
		return make_v4(endpoint, "0.0.0.0", text);
	*end = '\0';
	return make_v4(endpoint, text, end + 1);
}

int forward_parse(struct forward *forward, const char *text)
{
	size_t length = strlen(text);
	char copy[160], *dash;

	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, length + 1);
	forward->udp = strncmp(copy, "udp:", 4) == 0;
	dash = strchr(copy, '-');
	if ((!forward->udp && strncmp(copy, "tcp:", 4) != 0) || !dash)
		return -EINVAL;
	*dash = '\0';
	if (!parse_endpoint(&forward->host, copy + 4) || !parse_endpoint(&forward->guest, dash + 1))
		return -EINVAL;
	return forward->host.address.ss_family == forward->guest.address.ss_family ? 0 : -EINVAL;
}
