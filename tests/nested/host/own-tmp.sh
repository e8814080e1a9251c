ONLY=lkvm
measure() {
	w=$1; shift; d="$*"
	case $w in
	kvik) set -- run --accel kvm --cpus 1 --mem 256M --no-reboot --initrd /guest/initrd --params "quiet bench=io" $d /guest/kernel; m=kvik ;;
	lkvm) set -- run -c 1 -m 256 --console serial -i /guest/initrd -p "console=ttyS0 panic=-1 quiet bench=io" $d -k /guest/kernel; m=lkvm ;;
	esac
	gauge $OPT 256 BENCH-INIT $m "$@" </dev/null | sed "s/^/$m /"
}
dd if=/dev/zero of=/tmp/disk bs=1M count=64 2>/dev/null; for i in 1 2; do for m in $ONLY; do OPT= measure $m --disk /tmp/disk; done; done
