/** Errors of the server as sentences in the reader's language. */
import { t } from '../i18n/index.svelte';
import type { ApiError } from './client';

/** One sentence on what went wrong; the server's own words where we have none. */
export function sentence(error: ApiError): string {
  if (error.status === 0 && error.code === 'UNREACHABLE') return t('fault.unreachable');
  switch (error.status) {
    case 401:
      return t('fault.unauthorized');
    case 403:
      return t('fault.forbidden');
    case 404:
      return t('fault.notFound');
    case 413:
      return t('fault.tooLarge');
    case 429:
      return t('fault.tooMany', { seconds: error.retryAfter ?? 1 });
    case 503:
      return t('fault.unavailable');
    default:
      return error.message || t('fault.unknown');
  }
}

/** The server's own words on what went wrong, for those who may know all that is behind it. */
export function reason(error: ApiError): string {
  return error.message || sentence(error);
}
