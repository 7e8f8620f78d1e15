/* config_setting.h - one value for one option: read, checked and stored.
 *
 * Inside of config only. The value of an option is read in one place, whatever
 * source it came from; a source only says how its values are called in an
 * error. No state. */
#ifndef BASE_CONFIG_SETTING_H
#define BASE_CONFIG_SETTING_H

#include "base/config.h"
#include "base/str.h"

enum {
    CONFIG_OPTIONS_MAX = 64,
    CONFIG_NAME_MAX = 40,
    CONFIG_ENV_SIZE = CONFIG_NAME_MAX + 8, /* with "PIT_" and NUL */
    CONFIG_SHOWN_MAX = 60, /* bytes of a bad word that an error shows */
};

/* One value and where it was found. */
struct config_setting {
    const struct config_option *option;
    struct str value;
    const char *source; /* "--slots", "PIT_SLOTS", "/etc/pit.conf:3: slots" */
};

/* Stores the value into its field within the struct at @values. A string that
 * was there is freed. Errors: ST_INVALID, naming the source. */
CHECK enum status config_setting_apply(const struct config_setting *s,
                                       void *values, struct error *err);

/* Adds the value to a CONFIG_LIST that has one. Errors: as above. */
CHECK enum status config_setting_append(const struct config_setting *s,
                                        void *values, struct error *err);

/* Whether --help tells the option's default: it has one that says something. */
bool config_setting_has_default(const struct config_option *option);

/* The environment variable of an option: "max-body" is PIT_MAX_BODY. */
void config_env_name(const char *name, char dst[CONFIG_ENV_SIZE]);

/* Zeroes every field that the table names, and asserts the table's limits. */
void config_fields_init(const struct config_program *program, void *values);

#endif
