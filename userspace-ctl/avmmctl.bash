# SPDX-License-Identifier: GPL-2.0-only
# bash completion for avmmctl

_avmmctl()
{
	local commands='check status start stop reset pause resume shares console stats top disk device nbd log'
	local keys='--memory --memory-mode --reserve --cpus --shared --firmware --variables --kernel --initrd --cmdline --on-triple-fault --freeze-after --max-skew'
	local disks='' disk
	local shares='--user --service --cap-user --cap-service'
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' i

	for disk in --disk{0..3}; do
		disks+=" $disk-bus $disk-backing $disk-cdrom $disk-readonly $disk-overlay $disk-overlay-size"
	done
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			command=${COMP_WORDS[i]}
			break
		fi
	done

	case $previous in
	--interval | --timeout | --count | --memory | --reserve | --cpus | --cmdline | --user | --service | --cap-user | \
		--cap-service | --max-skew | --freeze-after | --disk?-overlay-size)
		COMPREPLY=()
		return
		;;
	--firmware)
		mapfile -t COMPREPLY < <(compgen -W 'seabios ovmf' -- "$word"; compgen -f -- "$word")
		return
		;;
	--variables | --kernel | --initrd | --disk?-backing | --disk?-overlay)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--disk?-bus)
		mapfile -t COMPREPLY < <(compgen -W 'ide' -- "$word")
		return
		;;
	--disk?-cdrom | --disk?-readonly)
		mapfile -t COMPREPLY < <(compgen -W 'yes no' -- "$word")
		return
		;;
	--shared)
		mapfile -t COMPREPLY < <(compgen -W 'auto yes no' -- "$word")
		return
		;;
	--on-triple-fault)
		mapfile -t COMPREPLY < <(compgen -W 'stop reset' -- "$word")
		return
		;;
	--memory-mode)
		mapfile -t COMPREPLY < <(compgen -W 'normal identity' -- "$word")
		return
		;;
	--rom)
		mapfile -t COMPREPLY < <(compgen -W 'yes no' -- "$word")
		return
		;;
	--dma)
		mapfile -t COMPREPLY < <(compgen -W 'iommu off trusted' -- "$word")
		return
		;;
	--cpu)
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/devices/system/cpu && printf '%s ' cpu[0-9]* | sed 's/cpu//g')" -- "$word")
		return
		;;
	esac

	case $command in
	'') mapfile -t COMPREPLY < <(compgen -W "$commands --json --help --version" -- "$word") ;;
	check) mapfile -t COMPREPLY < <(compgen -W '--all --json --help' -- "$word") ;;
	status) mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$word") ;;
	start) mapfile -t COMPREPLY < <(compgen -f -W "$keys $shares $disks --foreground --json --help" -- "$word") ;;
	stop) mapfile -t COMPREPLY < <(compgen -W '--force --timeout --json --help' -- "$word") ;;
	reset | pause | resume) mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$word") ;;
	shares) mapfile -t COMPREPLY < <(compgen -W "$shares --json --help" -- "$word") ;;
	console) mapfile -t COMPREPLY < <(compgen -W '--dump --follow --help' -- "$word") ;;
	top) mapfile -t COMPREPLY < <(compgen -W '--interval --count --json --help' -- "$word") ;;
	stats) mapfile -t COMPREPLY < <(compgen -W '--interval --cpu --json --help' -- "$word") ;;
	disk) mapfile -t COMPREPLY < <(compgen -f -W 'list attach detach reset disk0 disk1 disk2 disk3 --json --help' -- "$word") ;;
	device) mapfile -t COMPREPLY < <(compgen -W "list assign release window --dma --rom --json --help i8042 vga $(cd /sys/bus/pci/devices && echo *)" \
		-- "$word") ;;
	nbd) mapfile -t COMPREPLY < <(compgen -W "connect disconnect status accept --help $(cd /dev && echo /dev/nbd[0-9]*)" \
		-- "$word") ;;
	log) mapfile -t COMPREPLY < <(compgen -W '--follow --json --help' -- "$word") ;;
	*) COMPREPLY=() ;;
	esac
}

complete -F _avmmctl avmmctl
