/* new_file.h - the files that `pit new` writes; made from cli/template.
 *
 * In a text @NAME@ stands for the application's name. A name ends in ".in", so
 * that no tool takes the file for the tree's own. */
#ifndef CLI_NEW_FILE_H
#define CLI_NEW_FILE_H

#include "base/embedded.h"

extern const struct embedded new_files[];

#endif
