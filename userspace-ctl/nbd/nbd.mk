# SPDX-License-Identifier: GPL-2.0-only
#
# avmm-nbd, which `avmmctl nbd` runs. Not there with STATIC=1: libnbd's own libraries come as shared ones only.

NBD_PROGRAM := $(BUILD)/avmm-nbd
NBD_LIBS := libnbd libnl-genl-3.0 json-c
NBD_SOURCES := $(sort $(wildcard nbd/*.c)) output.c names.c
NBD_OBJECTS := $(patsubst %.c,$(OBJ)/%.o,$(NBD_SOURCES))

$(OBJ)/nbd/%.o: nbd/%.c Makefile nbd/nbd.mk
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(AVMM_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(NBD_PROGRAM): $(NBD_OBJECTS)
	@echo "  LD      avmm-nbd"
	@$(CC) $(AVMM_LDFLAGS) $(LDFLAGS) $^ $(shell $(PKG_CONFIG) --libs $(NBD_LIBS)) -o $@

-include $(NBD_OBJECTS:.o=.d)
