// SPDX-License-Identifier: GPL-2.0-only
/* avmm.ini: what is taken, and what is said about the rest. */
#include "unit.h"
#include <stdio.h>
#include <avmm/partition.h>
#include "userspace-ctl/config.h"

static struct config config;

static bool read_text(const char *text, size_t size)
{
	FILE *stream = size ? fmemopen((void *)(uintptr_t)text, size, "r") : fopen("/dev/null", "r");
	bool good;

	assert_non_null(stream);
	config_free(&config);
	good = config_read(&config, stream, "user.ini");
	fclose(stream);
	assert_int_equal(good, !config.problem[0]);
	return good;
}

static bool finish(const char *text)
{
	return read_text(text, strlen(text)) && config_finish(&config);
}

static int setup(void **state)
{
	(void)state;
	config_init(&config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_free(&config);
	return 0;
}

static void everything_is_read(void **state)
{
	(void)state;
	assert_true(finish("; a comment\n# another\n\n[partition] ; this one\nmemory = 512M ; enough\ncpus = 1\n"
			   "shared = yes\nreserve=64M\nkernel = /dev/null\ninitrd : /dev/zero\n"
			   "cmdline = console=ttyS0 root=/dev/sda1 ; the root\n"
			   "   quiet ; not this\n\n\tloglevel=3\non_triple_fault = reset\n"
			   "[shares]\r\nuser = 87.5\r\nservice = 12.5\r\ncap_user = 100\r\ncap_service = 0.1"));
	assert_int_equal(config.memory, 512ull << 20);
	assert_int_equal(config.reserve, 64ull << 20);
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.shared, AVMM_SHARED_YES);
	assert_int_equal(config.on_triple_fault, AVMM_POLICY_RESET);
	assert_int_equal(config.user, 875);
	assert_int_equal(config.service, 125);
	assert_int_equal(config.cap_user, 1000);
	assert_int_equal(config.cap_service, 1);
	assert_string_equal(config.text[KEY_KERNEL], "/dev/null");
	assert_string_equal(config.text[KEY_INITRD], "/dev/zero");
	assert_string_equal(config.text[KEY_CMDLINE], "console=ttyS0 root=/dev/sda1 quiet loglevel=3");
}

static void devices_are_read(void **state)
{
	(void)state;
	assert_true(finish("[partition]\nmemory=4M\nmemory_mode = identity\nkernel=/dev/null\n"
			   "[device0]\npci = 00:04.0 ; the card\n"
			   "[device7]\ndma = trusted\npci = 0001:3a:1f.7\nrom = no\n[device3]\npci=2:3.1\ndma=off\nrom=yes\n"));
	assert_string_equal(config.device[0].address, "0000:00:04.0");
	assert_int_equal(config.device[0].dma, 0);
	assert_string_equal(config.device[7].address, "0001:3a:1f.7");
	assert_int_equal(config.device[7].dma, 2);
	assert_true(config.device[7].hide_rom && !config.device[3].hide_rom && !config.device[0].hide_rom);
	assert_string_equal(config.device[3].address, "0000:02:03.1");
	assert_int_equal(config.device[3].dma, 1);
	assert_string_equal(config.device[1].address, "");
	assert_true(finish("[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\nisa = i8042\n[device1]\nvga = yes\n"
			   "[device4]\npci=2:3.2\ndma=iommu\n"));
	assert_int_equal(config.device[4].dma, 3);
	assert_string_equal(config.device[0].address, "i8042");
	assert_string_equal(config.device[1].address, "vga");
	assert_true(config_legacy("vga") && config_legacy("i8042") && !config_legacy("0000:00:04.0"));
}

static void defaults_hold(void **state)
{
	(void)state;
	assert_true(finish("\xef\xbb\xbf[partition]\nmemory=4G\nkernel=/dev/null\n"));
	assert_int_equal(config.memory, 4ull << 30);
	assert_int_equal(config.reserve, 0);
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.shared, AVMM_SHARED_AUTO);
	assert_int_equal(config.on_triple_fault, AVMM_POLICY_STOP);
	assert_int_equal(config.user, 900);
	assert_int_equal(config.service, 100);
	assert_int_equal(config.cap_user, 1000);
	assert_int_equal(config.cap_service, 1000);
	assert_null(config.text[KEY_CMDLINE]);
	assert_true(finish("[partition]\nmemory=4G\nkernel=/dev/null\n[shares]\nuser=30"));
	assert_int_equal(config.service, 700);
	assert_int_equal(config.max_skew, 0);
	assert_true(finish("[partition]\nmemory=4G\nkernel=/dev/null\n[shares]\nservice=30\nmax_skew=3"));
	assert_int_equal(config.user, 700);
	assert_int_equal(config.max_skew, 3000);
	assert_true(finish("[partition]\nmemory=4G\nkernel=/dev/null\ncmdline=\n  a\n  b"));
	assert_string_equal(config.text[KEY_CMDLINE], "a b");
}

static void disks_are_read(void **state)
{
	(void)state;
	assert_true(finish("[partition]\nmemory=4M\nkernel=/dev/null\nfreeze_after=0\n[disk0]\nbus=ide\n"
			   "backing=/dev/null\nreadonly=yes\n[disk2]\ncdrom=yes\n[disk3]\nbacking=/dev/zero\ncdrom=no\n"));
	assert_int_equal(config.freeze_after, 0);
	assert_true(config.disk[0].present && config.disk[0].read_only && !config.disk[0].cdrom);
	assert_string_equal(config.text[config_disk_key(0, DISK_BACKING)], "/dev/null");
	assert_false(config.disk[1].present);
	assert_true(config.disk[2].present && config.disk[2].cdrom && !config.text[config_disk_key(2, DISK_BACKING)]);
	assert_true(config.disk[3].present && !config.disk[3].read_only && !config.disk[3].cdrom);
	assert_true(finish("[partition]\nmemory=4M\nkernel=/dev/null\n"));
	assert_int_equal(config.freeze_after, 10);
	assert_true(config_option(&config, config_disk_key(1, DISK_BACKING), "/dev/null") && config_finish(&config));
	assert_true(config.disk[1].present);
	assert_true(finish("[partition]\nmemory=4M\nkernel=/dev/null\n[disk0]\nbacking=/dev/null\noverlay=ram\n"
			   "[disk1]\nbacking=/dev/null\noverlay=/tmp\noverlay_size=64M\n"));
	assert_int_equal(config.disk[0].overlay_size, 4ull << 30);
	assert_int_equal(config.disk[1].overlay_size, 64 << 20);
	assert_string_equal(config.text[config_disk_key(1, DISK_OVERLAY)], "/tmp");
	assert_string_equal(config_option_name(config_disk_key(1, DISK_BACKING)), "disk1-backing");
}

static const struct {
	const char *text;
	const char *problem;
} refused[] = {
	{ "", "user.ini: `memory` is missing" },
	{ "[partition]\nmemory=4M\n", "user.ini: `firmware` is missing, or `kernel`" },
	{ "[partition]\nmemory 4M\n", "user.ini:2: neither [section] nor key = value" },
	{ "[partition\n", "user.ini:1: neither [section] nor key = value" },
	{ "[partition]\nx\ny=1\n", "user.ini:2: neither [section] nor key = value" },
	{ "memory = 4M\n", "user.ini:1: `memory` stands in no section" },
	{ "\n[partitions]\n", "user.ini:2: unknown section [partitions]" },
	{ "[]\n", "user.ini:1: unknown section []" },
	{ "[device8]\n", "user.ini:1: unknown section [device8]" },
	{ "[device0]\n[device0]\n", "user.ini:2: section [device0] stands in line 1 already" },
	{ "[device0]\nirq = 4\n", "user.ini:2: unknown key `irq` in section [device0]" },
	{ "[device0]\nisa = i8043\n", "user.ini:2: isa = i8043: only i8042 is known" },
	{ "[device0]\nvga = no\n", "user.ini:2: vga = no: only yes is known" },
	{ "[device0]\nvga = yes\nisa = i8042\n",
	  "user.ini:3: `isa`: the device of this section stands in line 2 already" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\nisa = i8042\ndma = off\n",
	  "user.ini:6: `dma` is for PCI devices: i8042 cannot do any" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\nvga = yes\n[device1]\nvga = yes\n",
	  "user.ini:7: vga: that is device0 already" },
	{ "[device0]\npci = 00:20.0\n", "user.ini:2: pci = 00:20.0: an address is expected, as in 0000:00:04.0" },
	{ "[device0]\npci = 0000:00:04.0 x\n",
	  "user.ini:2: pci = 0000:00:04.0 x: an address is expected, as in 0000:00:04.0" },
	{ "[device0]\npci = 00:04.0\npci = 00:05.0\n", "user.ini:3: `pci` stands in line 2 already" },
	{ "[device0]\ndma = on\n", "user.ini:2: dma = on: iommu, off or trusted" },
	{ "[device0]\nrom = off\n", "user.ini:2: rom = off: yes or no" },
	{ "[device0]\nrom = no\nrom = no\n", "user.ini:3: `rom` stands in line 2 already" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\nvga = yes\nrom = no\n",
	  "user.ini:6: `rom` is for PCI devices: vga has none" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device1]\ndma = off\n",
	  "user.ini:4: [device1]: `pci`, `isa` or `vga` is missing" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\npci=00:04.0\n[device1]\npci=0000:00:04.0\n",
	  "user.ini:7: 0000:00:04.0: that is device0 already" },
	{ "[disk4]\n", "user.ini:1: unknown section [disk4]" },
	{ "[disk0]\nbus = scsi\n", "user.ini:2: bus = scsi: ide is expected" },
	{ "[disk1]\nbus = nvme\n", "user.ini:2: bus = nvme: not supported yet, there is ide" },
	{ "[disk0]\ncdrom = 1\n", "user.ini:2: cdrom = 1: yes or no" },
	{ "[disk0]\nbacking =\n", "user.ini:2: backing = : a file is expected" },
	{ "[disk0]\nmemory = 4M\n", "user.ini:2: unknown key `memory` in section [disk0]" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[disk3]\n", "user.ini: [disk3]: `backing` is missing" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[disk3]\nbacking=/dev/nowhere\n",
	  "user.ini:5: backing = /dev/nowhere: No such file or directory" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[disk0]\nbacking=/dev/null\noverlay=/nowhere\n",
	  "user.ini:6: overlay = /nowhere: No such file or directory" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[disk0]\nbacking=/dev/null\noverlay=ram\nreadonly=yes\n",
	  "user.ini:6: overlay = ram: nothing is written to a disk that is read-only" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[disk0]\nbacking=/dev/null\noverlay_size=1G\n",
	  "user.ini:6: overlay_size = 1G: there is no `overlay`" },
	{ "[disk0]\noverlay_size = 1K\n", "user.ini:2: overlay_size = 1K: from 1M to 1T" },
	{ "[shares]\nmax_skew = 1\n", "user.ini:2: max_skew = 1: milliseconds, from 2 to 20, or 0 (any)" },
	{ "[shares]\nmax_skew = 21\n", "user.ini:2: max_skew = 21: milliseconds, from 2 to 20, or 0 (any)" },
	{ "[shares]\nmax_skew = 3s\n", "user.ini:2: max_skew = 3s: milliseconds, from 2 to 20, or 0 (any)" },
	{ "[partition]\nfreeze_after = soon\n", "user.ini:2: freeze_after = soon: seconds, from 0 (never) to 86400" },
	{ "[partition]\nmemory = 1G\n[shares]\n[partition]\n",
	  "user.ini:4: section [partition] stands in line 1 already" },
	{ "[partition]\nram = 1G\n", "user.ini:2: unknown key `ram` in section [partition]" },
	{ "[partition]\nuser = 1\n", "user.ini:2: unknown key `user` in section [partition]" },
	{ "[partition]\nmemory = 1G\nmemory = 1G\n", "user.ini:3: `memory` stands in line 2 already" },
	{ "[partition]\nmemory = 1G\n cpus = 1\n",
	  "user.ini:3: this line is indented: only cmdline goes on in a second line" },
	{ "[partition]\nmemory = 1G\n [shares]\n",
	  "user.ini:3: this line is indented: only cmdline goes on in a second line" },
	{ "[partition]\nmemory =\n", "user.ini:2: memory = : a number of bytes is expected, as in 512M or 4G" },
	{ "[partition]\nmemory = -1M\n", "user.ini:2: memory = -1M: a number of bytes is expected, as in 512M or 4G" },
	{ "[partition]\nmemory = 5MB\n", "user.ini:2: memory = 5MB: a number of bytes is expected, as in 512M or 4G" },
	{ "[partition]\nmemory = 99999999999T\n",
	  "user.ini:2: memory = 99999999999T: a number of bytes is expected, as in 512M or 4G" },
	{ "[partition]\nmemory = 2M\n", "user.ini:2: memory = 2M: from 4M to 1T" },
	{ "[partition]\nmemory = 2T\n", "user.ini:2: memory = 2T: from 4M to 1T" },
	{ "[partition]\nmemory = 5M\n", "user.ini:2: memory = 5M: a multiple of 2M" },
	{ "[partition]\ncpus = 0\n", "user.ini:2: cpus = 0: a number of CPUs is expected" },
	{ "[partition]\ncpus = all\n", "user.ini:2: cpus = all: a number of CPUs is expected" },
	{ "[partition]\ncpus = 65\n", "user.ini:2: cpus = 65: this version can give 64 at most" },
	{ "[partition]\nshared = maybe\n", "user.ini:2: shared = maybe: auto, yes or no" },
	{ "[partition]\non_triple_fault = halt\n", "user.ini:2: on_triple_fault = halt: stop or reset" },
	{ "[partition]\nmemory=4M\nkernel =\n", "user.ini:3: kernel = : a file is expected" },
	{ "[partition]\nmemory=4M\nkernel = /no/file\n", "user.ini:3: kernel = /no/file: No such file or directory" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\ninitrd = /no/file\n",
	  "user.ini:4: initrd = /no/file: No such file or directory" },
	{ "[partition]\nmemory=4M\ncmdline=x\n", "user.ini:3: cmdline = x: there is no `kernel` that it is for" },
	{ "[partition]\nmemory=4M\ninitrd=x\n", "user.ini:3: initrd = x: there is no `kernel` that it is for" },
	{ "[partition]\nmemory=4M\nfirmware=/no/file\n",
	  "user.ini:3: firmware = /no/file: No such file or directory" },
	{ "[partition]\nmemory=4M\nfirmware=\n",
	  "user.ini:3: firmware = : seabios, ovmf or a file is expected" },
	{ "[partition]\nmemory=4M\nfirmware=/dev/null\ncmdline=quiet\n",
	  "user.ini:4: cmdline = quiet: there is no `kernel` that it is for" },
	{ "[partition]\nmemory=4M\nfirmware=ovmf\nkernel=/dev/null\n",
	  "user.ini:3: firmware = ovmf: there is `kernel` too: it is either of them" },
	{ "[partition]\nmemory=4M\nvariables=x\nkernel=/dev/null\n",
	  "user.ini:3: variables = x: there is no `firmware` whose variables they are" },
	{ "[partition]\nmemory=4M\nfirmware=/dev/null\nvariables=/no/file\n",
	  "user.ini:4: variables = /no/file: No such file or directory" },
	{ "[partition]\nmemory=4M\nfirmware=ovmf\nvariables=/no/file\n",
	  "user.ini:4: variables = /no/file: its folder: No such file or directory" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\nmemory_mode = windows\n",
	  "user.ini:4: memory_mode = windows: normal or identity is expected" },
	{ "[partition]\nmemory=4M\nmemory_mode=identity\nkernel=/dev/null\n[device0]\npci = 0:3.0\ndma = iommu\n",
	  "user.ini:7: dma = iommu does not go together with memory_mode = identity" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[device0]\npci = 0:3.0\ndma = trusted\n",
	  "user.ini:6: dma = trusted needs memory_mode = identity" },
	{ "[shares]\nuser = 100\n", "user.ini:2: user = 100: percent, from 0.1 to 99.9" },
	{ "[shares]\nuser = 0\n", "user.ini:2: user = 0: percent, from 0.1 to 99.9" },
	{ "[shares]\nuser = 10.55\n", "user.ini:2: user = 10.55: percent, from 0.1 to 99.9" },
	{ "[shares]\nservice = 10%\n", "user.ini:2: service = 10%: percent, from 0.1 to 99.9" },
	{ "[shares]\ncap_user = 100.1\n", "user.ini:2: cap_user = 100.1: percent, from 0.1 to 100" },
	{ "[partition]\nmemory=4M\nkernel=/dev/null\n[shares]\nuser=90\nservice=11\n",
	  "user.ini:6: service = 11: with user = 90 that is not 100 percent" },
};

static void mistakes_are_named(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_false(finish(refused[i].text));
		assert_string_equal(config.problem, refused[i].problem);
	}
}

static void long_lines_are_refused(void **state)
{
	char text[600] = "[partition]\ncmdline = ";

	(void)state;
	memset(text + strlen(text), 'x', 188);
	strcat(text, "\n yy\n");
	assert_true(read_text(text, strlen(text)));
	assert_int_equal(strlen(config.text[KEY_CMDLINE]), 188 + 3);

	strcpy(text, "[partition]\ncmdline = ");
	memset(text + strlen(text), 'x', 300);
	assert_false(read_text(text, strlen(text)));
	assert_non_null(strstr(config.problem, "user.ini:2: the line is longer than 198 bytes"));

	assert_false(read_text("[part\0ition]\n", 13));
	assert_string_equal(config.problem, "user.ini:1: this is not a text file");
	assert_true(read_text("", 0));
}

static void options_win(void **state)
{
	const char text[] = "[partition]\nmemory=8M\nkernel=/no/file\n[shares]\nuser=90\nservice=10\n";

	(void)state;
	assert_true(read_text(text, sizeof(text) - 1));
	assert_true(config_option(&config, KEY_MEMORY, "4M"));
	assert_true(config_option(&config, KEY_MEMORY, "6M"));
	assert_true(config_option(&config, KEY_KERNEL, "/dev/null"));
	assert_true(config_option(&config, KEY_USER, "70"));
	assert_true(config_finish(&config));
	assert_int_equal(config.memory, 6 << 20);
	assert_int_equal(config.service, 300);

	assert_true(read_text(text, sizeof(text) - 1));
	assert_true(config_option(&config, KEY_SERVICE, "20"));
	assert_true(config_option(&config, KEY_USER, "70"));
	assert_true(config_option(&config, KEY_KERNEL, "/dev/null"));
	assert_false(config_finish(&config));
	assert_string_equal(config.problem, "--service 20: with user = 70 that is not 100 percent");
	assert_true(read_text(text, sizeof(text) - 1));
	assert_false(config_option(&config, KEY_CAP_SERVICE, "0"));
	assert_string_equal(config.problem, "--cap-service 0: percent, from 0.1 to 100");

	/* options alone */
	config_free(&config);
	assert_true(config_option(&config, KEY_KERNEL, "/dev/null"));
	assert_false(config_finish(&config));
	assert_string_equal(config.problem, "`memory` is missing");
}

static void files_are_beside_the_file(void **state)
{
	const char text[] = "[partition]\nmemory=8M\nkernel=null\n";
	FILE *stream = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");

	(void)state;
	config_free(&config);
	assert_true(config_read(&config, stream, "/dev/user.ini"));
	fclose(stream);
	assert_true(config_finish(&config));
	assert_string_equal(config.text[KEY_KERNEL], "/dev/null");
}

static void firmware_is_a_way_to_boot(void **state)
{
	const char text[] = "[partition]\nmemory=8M\nfirmware=null\n";
	FILE *stream = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");

	(void)state;
	config_free(&config);
	assert_true(config_read(&config, stream, "/dev/user.ini"));
	fclose(stream);
	assert_true(config_finish(&config));
	assert_string_equal(config.text[KEY_FIRMWARE], "/dev/null");
	assert_null(config.text[KEY_KERNEL]);
	assert_null(config.text[KEY_VARIABLES]);
}

/* Those of OVMF need not be there yet: relative to the INI file's folder, or where all look for them. */
static void ovmf_has_variables(void **state)
{
	const char text[] = "[partition]\nmemory=8M\nfirmware=ovmf\nvariables=not/there/../new.fd\n";
	FILE *stream = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");

	(void)state;
	assert_true(finish("[partition]\nmemory=8M\nfirmware=ovmf\n"));
	assert_string_equal(config.text[KEY_VARIABLES], "/var/lib/avmm/variables.fd");
	assert_non_null(config.variables_template);
	config_free(&config);
	assert_true(config_read(&config, stream, "/dev/user.ini"));
	fclose(stream);
	assert_false(config_finish(&config));
	config_free(&config);
	assert_true(finish("[partition]\nmemory=8M\nfirmware=ovmf\nvariables=/dev/new.fd\n"));
	assert_string_equal(config.text[KEY_VARIABLES], "/dev/new.fd");
	assert_true(finish("[partition]\nmemory=8M\nfirmware=/dev/null\nvariables=/dev/zero\n"));
	assert_string_equal(config.text[KEY_VARIABLES], "/dev/zero");
	assert_null(config.variables_template);
}

static void percents_are_permille(void **state)
{
	(void)state;
	assert_int_equal(config_percent("12.5", 100), 125);
	assert_int_equal(config_percent("100", 100), 1000);
	assert_int_equal(config_percent("0.1", 100), 1);
	assert_int_equal(config_percent("100.1", 100), 0);
	assert_int_equal(config_percent("18446744073709551616", 100), 0);
	assert_int_equal(config_percent("", 100), 0);
	assert_int_equal(config_percent("1.", 100), 0);
	assert_int_equal(config_percent(" 1", 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(devices_are_read),
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(disks_are_read),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(long_lines_are_refused),
		cmocka_unit_test(options_win),
		cmocka_unit_test(files_are_beside_the_file),
		cmocka_unit_test(firmware_is_a_way_to_boot),
		cmocka_unit_test(ovmf_has_variables),
		cmocka_unit_test(percents_are_permille),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
