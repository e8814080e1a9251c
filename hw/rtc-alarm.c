// SPDX-License-Identifier: GPL-2.0-or-later
// A timer for the next moment at which a clock has to do something.

#include "rtc-alarm.h"

static void look(struct rtc_alarm *alarm)
{
	uint64_t now_ns, delay_ns;

	pthread_mutex_lock(&alarm->dev->lock);
	delay_ns = alarm->check(alarm->dev);
	pthread_mutex_unlock(&alarm->dev->lock);
	now_ns = clock_monotonic_ns(); // not before: it would expire too early
	if (delay_ns == RTC_ALARM_NEVER)
		loop_disarm_timer(alarm->loop, &alarm->timer);
	else
		loop_arm_timer(alarm->loop, &alarm->timer,
			       MIN(delay_ns, INT64_MAX - now_ns) + now_ns);
}

static void on_expired(struct loop_timer *timer)
{
	look(container_of(timer, struct rtc_alarm, timer));
}

static void on_moved(struct loop_post *post)
{
	look(container_of(post, struct rtc_alarm, moved));
}

void rtc_alarm_init(struct rtc_alarm *alarm, struct device *dev, struct loop *main_loop,
		    uint64_t (*check)(struct device *dev))
{
	*alarm = (struct rtc_alarm){
		.dev = dev,
		.check = check,
		.loop = main_loop,
		.timer.expired = on_expired,
		.moved.call = on_moved,
	};
}

void rtc_alarm_moved(struct rtc_alarm *alarm)
{
	loop_post(alarm->loop, &alarm->moved);
}

void rtc_alarm_reset(struct rtc_alarm *alarm)
{
	loop_disarm_timer(alarm->loop, &alarm->timer);
}

void rtc_alarm_exit(struct rtc_alarm *alarm)
{
	loop_cancel_post(alarm->loop, &alarm->moved);
	loop_disarm_timer(alarm->loop, &alarm->timer);
}
