# SPDX-License-Identifier: GPL-2.0-only
# bash completion for avmm-server

_avmm_server()
{
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' action='' i
	local options='--config --json --no-reload --help'

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--config) i=$((i + 1)) ;;
		-*) ;;
		*) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; else action=${action:-${COMP_WORDS[i]}}; fi ;;
		esac
	done
	case $previous in
	--config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	--mac | --address | --memory | --version | --image) COMPREPLY=(); return ;;
	esac
	case $command${action:+ $action} in
	'') mapfile -t COMPREPLY < <(compgen -W "check add-client remove-client list apply image $options" -- "$word") ;;
	check) mapfile -t COMPREPLY < <(compgen -W '--verify --running --help' -- "$word") ;;
	'image add') mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	'image pin') mapfile -t COMPREPLY < <(compgen -W 'current defaults --service' -- "$word") ;;
	image) mapfile -t COMPREPLY < <(compgen -W 'add pin rollback remove' -- "$word") ;;
	add-client*) mapfile -t COMPREPLY < <(compgen -W '--mac --image --version --address --memory' -- "$word") ;;
	*) COMPREPLY=() ;;
	esac
}

complete -F _avmm_server avmm-server
