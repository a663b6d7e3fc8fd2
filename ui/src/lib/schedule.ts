/** Schedules in words. */
import { locale, t } from '../i18n/index.svelte';
import { meaningOf } from './cron';

/** “Every day at 02:30 UTC”; a schedule that has no short words keeps its six fields. */
export function scheduleText(cron: string): string {
  const meaning = meaningOf(cron);
  switch (meaning?.every) {
    case 'minutes':
      return t('schedule.everyMinutes', { count: meaning.count });
    case 'hours':
      return t('schedule.everyHours', { count: meaning.count });
    case 'hour':
      return t('schedule.everyHour', { minute: String(meaning.minute).padStart(2, '0') });
    case 'day':
      return t('schedule.everyDay', { time: meaning.time });
    case 'week':
      return t('schedule.everyWeek', { weekday: weekdayName(meaning.weekday), time: meaning.time });
    case 'month':
      return t('schedule.everyMonth', { day: meaning.day, time: meaning.time });
    default:
      return cron.trim();
  }
}

/** The first of March 2026 was a Sunday. */
function weekdayName(at: number): string {
  const day = Date.UTC(2026, 2, 1 + at);
  return new Intl.DateTimeFormat(locale(), { weekday: 'long', timeZone: 'UTC' }).format(day);
}
