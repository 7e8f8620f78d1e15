/* Address: everything is looked at as 16 bytes.
 *
 * IPv6 is decided the other way round than IPv4: of it only 2000::/3 is given
 * out at all, so what is outside of that is refused without a list. */
#include "async/curl/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { BYTES = 16, MAPPED_BITS = 96 };

static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const unsigned char nat64_prefix[12] = {0x00, 0x64, 0xff, 0x9b};

/* What is not public: as in address_rules_parse(). */
static const char *const special_v4[] = {
    "0.0.0.0/8",       /* this network, RFC 791 */
    "10.0.0.0/8",      /* private, RFC 1918 */
    "100.64.0.0/10",   /* shared, RFC 6598 */
    "127.0.0.0/8",     /* loopback, RFC 1122 */
    "169.254.0.0/16",  /* link local, RFC 3927; clouds' metadata */
    "172.16.0.0/12",   /* private */
    "192.0.0.0/24",    /* protocol assignments, RFC 6890 */
    "192.0.2.0/24",    /* documentation, RFC 5737 */
    "192.88.99.0/24",  /* 6to4 relays, RFC 7526 */
    "192.168.0.0/16",  /* private */
    "198.18.0.0/15",   /* benchmarks, RFC 2544 */
    "198.51.100.0/24", /* documentation */
    "203.0.113.0/24",  /* documentation */
    "224.0.0.0/4",     /* multicast, RFC 5771 */
    "240.0.0.0/4",     /* reserved, and broadcast */
};
static const char public_v6[] = "2000::/3";
static const char *const special_v6[] = {
    "2001::/23",     /* protocol assignments, Teredo, RFC 2928 */
    "2001:db8::/32", /* documentation, RFC 3849 */
    "2002::/16",     /* 6to4: carries any IPv4 address, RFC 3056 */
    "3fff::/20",     /* documentation, RFC 9637 */
};

static bool
within(const unsigned char *bytes, const struct address_network *network)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 ||
           ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static bool
parse_network(struct str text, struct address_network *ret)
{
    struct str bits_text, host = str_cut(text, '/', &bits_text);
    char word[INET6_ADDRSTRLEN];
    struct address_network network = {.bits = 8 * BYTES};
    int64_t bits = -1;
    int64_t bits_max = 8 * BYTES;

    if (host.n == 0 || host.n >= sizeof word)
        return false;
    str_copy_to(host, word, sizeof word);
    if (inet_pton(AF_INET, word, network.bytes + 12) == 1) {
        memcpy(network.bytes, mapped_prefix, sizeof mapped_prefix);
        bits_max = 32;
    } else if (inet_pton(AF_INET6, word, network.bytes) != 1)
        return false;
    if (bits_text.p && (!str_to_i64(bits_text, &bits) || bits > bits_max))
        return false;
    if (bits >= 0)
        network.bits = (unsigned)bits + (bits_max == 32 ? MAPPED_BITS : 0);
    *ret = network;
    return true;
}

enum status
address_rules_parse(struct str text, struct address_rules *ret,
                    struct error *err)
{
    struct address_rules rules = {0};
    struct str rest = text;

    while (rest.n > 0) {
        struct str word = str_trim(str_cut(rest, ',', &rest));
        if (rules.networks_len == ADDRESS_NETWORKS_MAX)
            return error_set(err, ST_INVALID, "more than %d networks",
                             ADDRESS_NETWORKS_MAX);
        if (!parse_network(word, &rules.networks[rules.networks_len++]))
            return error_set(err, ST_INVALID,
                             "'%.*s' is no network: it is an address as "
                             "10.1.2.3 or fd00::1, or one with the bits that "
                             "count, as 10.1.0.0/16",
                             word.n > 60 ? 60 : (int)word.n, word.p);
    }
    *ret = rules;
    return ST_OK;
}

static bool
in_list(const unsigned char *bytes, const char *const *list, size_t n)
{
    struct address_network network;

    for (size_t i = 0; i < n; i++)
        if (parse_network(str_c(list[i]), &network) && within(bytes, &network))
            return true;
    return false;
}

static bool
is_public(const unsigned char *bytes)
{
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0)
        return !in_list(bytes, special_v4, ARRAY_LEN(special_v4));
    const char *const all = public_v6;
    return in_list(bytes, &all, 1) &&
           !in_list(bytes, special_v6, ARRAY_LEN(special_v6));
}

/* IPv4 becomes mapped; NAT64's well-known prefix (RFC 6052) stands for the IPv4
 * address behind it. */
static bool
to_bytes(const struct sockaddr *address, socklen_t len,
         unsigned char dst[BYTES])
{
    if (address->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(dst, mapped_prefix, sizeof mapped_prefix);
        memcpy(dst + 12, &v4.sin_addr, 4);
        return true;
    }
    if (address->sa_family != AF_INET6 || len < sizeof(struct sockaddr_in6))
        return false;
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    memcpy(dst, &v6.sin6_addr, BYTES);
    if (memcmp(dst, nat64_prefix, sizeof nat64_prefix) == 0)
        memcpy(dst, mapped_prefix, sizeof mapped_prefix);
    return true;
}

bool
address_allowed(const struct sockaddr *address, socklen_t len,
                const struct address_rules *rules)
{
    unsigned char bytes[BYTES];

    if (!to_bytes(address, len, bytes))
        return false;
    for (size_t i = 0; i < rules->networks_len; i++)
        if (within(bytes, &rules->networks[i]))
            return true;
    return is_public(bytes);
}

void
address_text(const struct sockaddr *address, socklen_t len,
             char dst[ADDRESS_TEXT_SIZE])
{
    const void *bytes = NULL;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET && len >= sizeof v4) {
        memcpy(&v4, address, sizeof v4);
        bytes = &v4.sin_addr;
    } else if (address->sa_family == AF_INET6 && len >= sizeof v6) {
        memcpy(&v6, address, sizeof v6);
        bytes = &v6.sin6_addr;
    }
    if (!bytes || !inet_ntop(address->sa_family, bytes, dst, ADDRESS_TEXT_SIZE))
        snprintf(dst, ADDRESS_TEXT_SIZE, "?");
}
