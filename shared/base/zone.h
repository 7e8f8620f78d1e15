/* zone.h - a time zone by its IANA name, read from the system's tzdata.
 *
 * Our own reader of TZif files (RFC 8536, version 2 and newer) below $TZDIR or
 * /usr/share/zoneinfo, so that no call touches the process' TZ. "UTC" needs no
 * file. A zone is read once and stays for the life of the process: an update of
 * tzdata is seen after a restart.
 *
 * Clocks are set forward and back. What local times mean then is decided here,
 * once, for everybody (zone_instant(), zone_reached()):
 *   - a local time that is skipped stands for the first instant after the gap;
 *   - a local time that comes twice stands for the first of the two.
 * Times are seconds: instants since 1970-01-01T00:00Z, local times since
 * 1970-01-01 00:00 on the zone's clock. Thread-safe. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct zone;

enum { ZONE_NAME_MAX = 64, ZONES_MAX = 1000 /* known to one process */ };

/* Errors: ST_INVALID for a name that is none, or that tzdata does not have;
 * ST_FAILED for a file that cannot be read; ST_LIMIT above ZONES_MAX. The zone
 * is lent for ever. Reads a file of some KiB the first time. */
CHECK enum status zone_find(struct str name, const struct zone **ret,
                            struct error *err);
const char *zone_name(const struct zone *zone);

/* Seconds east of UTC at @at_s. */
int32_t zone_offset(const struct zone *zone, int64_t at_s);
/* The first change of the offset's rules after @at_s; INT64_MAX: none. */
int64_t zone_next(const struct zone *zone, int64_t at_s);

/* The latest local time that the clock has shown up to @at_s: the local time
 * itself but for the hour that comes twice. A local time is past at @at_s
 * exactly when it is not after this. */
int64_t zone_reached(const struct zone *zone, int64_t at_s);
/* The instant that @local_s stands for, by the two rules above. */
int64_t zone_instant(const struct zone *zone, int64_t local_s);

/* The zone in a TZif file's bytes, for tests; freed by zone_free().
 * Errors: ST_INVALID, in words. */
CHECK enum status zone_parse(struct str bytes, struct zone **ret,
                             struct error *err);
void zone_free(struct zone *zone);

#endif
