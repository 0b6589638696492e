# SPDX-License-Identifier: GPL-2.0-only
# bash completion for avmmctl

_avmmctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' i

	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			command=${COMP_WORDS[i]}
			break
		fi
	done

	case $previous in
	--interval)
		COMPREPLY=()
		return
		;;
	--cpu)
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/devices/system/cpu && printf '%s ' cpu[0-9]* | sed 's/cpu//g')" -- "$word")
		return
		;;
	esac

	case $command in
	'') mapfile -t COMPREPLY < <(compgen -W 'check status stats log --json --help --version' -- "$word") ;;
	check) mapfile -t COMPREPLY < <(compgen -W '--all --json --help' -- "$word") ;;
	status) mapfile -t COMPREPLY < <(compgen -W '--json --help' -- "$word") ;;
	stats) mapfile -t COMPREPLY < <(compgen -W '--interval --cpu --json --help' -- "$word") ;;
	log) mapfile -t COMPREPLY < <(compgen -W '--follow --json --help' -- "$word") ;;
	*) COMPREPLY=() ;;
	esac
}

complete -F _avmmctl avmmctl
