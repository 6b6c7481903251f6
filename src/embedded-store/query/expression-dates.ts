import { CommandError, badValue } from '../command-error.js';
import { asInteger, typeOf } from './bson-types.js';
import { isNullish, named } from './expression-operands.js';
import type { OperatorCompiler } from './compiled-expression.js';

const SECOND = 1000;
const UNIT_MS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: SECOND,
  minute: 60 * SECOND,
  hour: 3600 * SECOND,
  day: 86_400 * SECOND,
  week: 7 * 86_400 * SECOND,
};
const UNIT_MONTHS: Readonly<Record<string, number>> = { month: 1, quarter: 3, year: 12 };

/** A day that the target month does not have becomes its last one (MongoDB manual, "$dateAdd"). In UTC. */
function addMonths(date: Date, months: number): Date {
  const result = new Date(date);
  result.setUTCDate(1);
  result.setUTCMonth(result.getUTCMonth() + months);
  const last = new Date(Date.UTC(result.getUTCFullYear(), result.getUTCMonth() + 1, 0)).getUTCDate();
  result.setUTCDate(Math.min(date.getUTCDate(), last));
  return result;
}

function shift(name: string, date: unknown, unit: unknown, amount: unknown, sign: 1 | -1): Date | null {
  if (isNullish(date) || isNullish(unit) || isNullish(amount)) return null;
  if (!(date instanceof Date))
    throw new CommandError(5166403, `${name} needs a date as startDate, not ${typeOf(date)}`);
  const count = asInteger(amount);
  if (count === undefined) throw new CommandError(5166405, `${name} needs a whole number as amount`);
  const [ms, months] = typeof unit === 'string' ? [UNIT_MS[unit], UNIT_MONTHS[unit]] : [];
  if (months !== undefined) return addMonths(date, sign * count * months);
  if (ms === undefined) throw new CommandError(9, `${name} does not know the unit ${JSON.stringify(unit)}`);
  return new Date(date.getTime() + sign * count * ms);
}

const shifting = (name: string, sign: 1 | -1): OperatorCompiler =>
  named(name, ['startDate', 'unit', 'amount'], ['timezone'], (operand, raw) => {
    if ('timezone' in raw && raw.timezone !== 'UTC')
      throw badValue(`${name} with a timezone is not supported by the embedded store`);
    const [start, unit, amount] = [operand('startDate'), operand('unit'), operand('amount')];
    return (root, variables) =>
      shift(name, start(root, variables), unit(root, variables), amount(root, variables), sign);
  });

export const DATE_OPERATORS: Readonly<Record<string, OperatorCompiler>> = {
  $dateAdd: shifting('$dateAdd', 1),
  $dateSubtract: shifting('$dateSubtract', -1),
};
