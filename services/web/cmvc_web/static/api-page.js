// Shows openapi.json.

function element(name, text = '', className = '') {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

function parameters(list) {
  const table = element('table');
  for (const each of list) {
    const row = element('tr');
    const name = element('th');
    name.scope = 'row';
    name.append(element('code', each.name));
    const { enum: choices, default: usual } = each.schema;
    const more = [choices && `One of ${choices.join(', ')}.`, usual && `Without it: ${usual}.`].filter(Boolean);
    row.append(name, element('td', [each.description, ...more].join(' ')));
    table.append(row);
  }
  return table;
}

function example(path, method, call) {
  const url = `${location.origin}${path.replace('{id}', 'ID')}`;
  if (method === 'get') return `curl ${url}`;
  if (method === 'delete') return `curl -X DELETE ${url}`;
  return `curl -N -T ${path === '/v1/encode' ? 'my.mp4' : 'my.cmvc'} -X POST '${url}'${call.responses['200']?.content?.['video/mp4'] ? ' > back.mp4' : ''}`;
}

const description = await (await fetch('v1/openapi.json')).json();
document.getElementById('about').textContent = description.info.description;
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, call] of Object.entries(methods)) {
    const section = element('section');
    const title = element('h2');
    title.append(element('span', method.toUpperCase(), 'verb'), ' ', element('code', path));
    section.append(title, element('p', call.summary), element('p', call.description || '', 'small'));
    if (call.parameters?.length) section.append(parameters(call.parameters));
    const pre = element('pre', example(path, method, call));
    pre.tabIndex = 0;
    section.append(pre);
    document.getElementById('api').append(section);
  }
}
