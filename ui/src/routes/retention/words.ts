/** Rules and their results in words. */
import { t } from '../../i18n/index.svelte';
import { counts, type RetentionTask, type RuleDraft } from '../../lib/api/retention';

export const TEMPLATES = [
  'latestPushedK',
  'latestPulledN',
  'nDaysSinceLastPush',
  'nDaysSinceLastPull',
  'always',
] as const;
export type TemplateName = (typeof TEMPLATES)[number];

const known = (name: string) => TEMPLATES.find((one) => one === name);

/** What a template keeps, for a choice; one that we do not know keeps the server's words. */
export function templateText(name: string, given?: string): string {
  const template = known(name);
  return template ? t(`retention.template.${template}`) : given || name;
}

/** Whether a template counts days, not artifacts. */
export const inDays = (template: string) => /days/i.test(template);

/** What a rule keeps: “Keep the **10** artifacts that were pushed last”. */
export function keepText({ template, count }: RuleDraft): string {
  const name = known(template);
  if (name === 'always') return t('retention.keep.always');
  if (name) return t(`retention.keep.${name}`, { count });
  return counts(template) ? `${template} ${count}` : template;
}

/** Where a rule applies. */
export function scopeText({ repositories, repositoriesExcept, tags, tagsExcept }: RuleDraft): string {
  if (tagsExcept && repositoriesExcept) return t('retention.scopeBothExcept', { tags, repositories });
  if (tagsExcept) return t('retention.scopeTagsExcept', { tags, repositories });
  if (repositoriesExcept) return t('retention.scopeRepositoriesExcept', { tags, repositories });
  return t('retention.scope', { tags, repositories });
}

/** The highest count that the server takes. */
export const mostOf = (template: string) => (inDays(template) ? 20_190_904 : 32_766);

/** The count that a text names, if it is one that a template takes. */
export function countOf(text: string, template: string): number | undefined {
  if (!/^\d{1,8}$/.test(text.trim())) return undefined;
  const count = Number(text);
  return count >= 1 && count <= mostOf(template) ? count : undefined;
}

/** Why an artifact stays or goes: rules by their numbers, all else in the server's words. */
export function reasonText(reason: string): string {
  const rules = [...reason.matchAll(/\brule (\d+)/g)].map((hit) => hit[1]).join(', ');
  if (/^kept by rule/.test(reason)) return t('retention.byRule', { rules });
  if (/^selected, but not kept/.test(reason)) return t('retention.byNone', { rules });
  return reason === 'no rule selects it' ? t('retention.notSelected') : reason;
}

/** Whether nothing more happens in a repository. */
export const isOver = ({ status }: RetentionTask) => !['Pending', 'Scheduled', 'Running'].includes(status);
