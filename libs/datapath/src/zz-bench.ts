import * as nl from '@nsm/netlink';
import { createDatapath } from './index.ts';
import { context, localPlan, remotePlan } from './testing.ts';
const d='/tmp/dp/'; const mk=(n:string)=>{nl.createNetns(d+n); return nl.formatNetns(nl.netnsOf(d+n));};
const names=['ba','bb','bn']; const [a,b]=names.map(mk) as [string,string,string];
const q=(x:number[])=>{x=x.toSorted((m,n)=>m-n); return `med ${x[x.length>>1]!.toFixed(2)} p90 ${x[Math.floor(x.length*.9)]!.toFixed(2)} p99 ${x[Math.floor(x.length*.99)]!.toFixed(2)}`};
const time=async(into:number[],f:()=>Promise<unknown>)=>{const s=performance.now(); await f(); into.push(performance.now()-s);};
const dp=createDatapath(), node=createDatapath({node:d+'bn'});
const rename=(p:any,i:number)=>JSON.parse(JSON.stringify(p).replaceAll('nse-1',`nse-${i}`));
for (const round of ['warm-up','IPv4','IPv6','vxlan']) {
  const t:Record<string,number[]>={create:[],check:[],adopt:[],change:[],remove:[]};
  for (let i=0;i<300;i++) {
    const c=(k:number)=>round==='IPv6'?context([`fd00::${k}:${i}:1/128`],[`fd00::${k}:${i}:2/128`]):context([`10.${k}.${i>>8}.${i&255}/32`],[`11.${k}.${i>>8}.${i&255}/32`]);
    const mk=(k:number)=>round==='vxlan'?remotePlan('client',a,{id:`c${i}`,vni:String(1000+i),context:c(k)}):rename(localPlan({client:a,endpoint:b},{id:`c${i}`,name:`nsm-${i}`,context:c(k)}),i);
    const p=mk(1), p2=mk(2);
    await time(t.create!,()=>dp===undefined?dp:(round==='vxlan'?node:dp).ensure(p));
    const w=round==='vxlan'?node:dp;
    await time(t.check!,()=>w.ensure(p,p)); await time(t.adopt!,()=>w.ensure(p)); await time(t.change!,()=>w.ensure(p2,p)); await time(t.remove!,()=>w.remove(p2));
    await new Promise(r=>setTimeout(r,10));
  }
  console.log(round, Object.entries(t).map(([n,x])=>`${n}: ${q(x)}`).join(' | '));
}
const plans=Array.from({length:300},(_,i)=>rename(localPlan({client:a,endpoint:b},{id:`c${i}`,name:`nsm-${i}`,context:context([`10.1.${i>>8}.${i&255}/32`],[`11.1.${i>>8}.${i&255}/32`])}),i));
let s=performance.now(); await Promise.all(plans.map(p=>dp.ensure(p))); console.log('300 at once', ((performance.now()-s)/300).toFixed(2),'ms each');
s=performance.now(); await dp.census(); console.log('census of 600 links', (performance.now()-s).toFixed(1));
s=performance.now(); await Promise.all(plans.map(p=>dp.remove(p))); console.log('300 removed', ((performance.now()-s)/300).toFixed(2),'ms each');
s=performance.now(); await dp.close(); console.log('reaped after', (performance.now()-s).toFixed(0),'ms');
await node.close();
// pods with namespaces of their own
const many=Array.from({length:100},(_,i)=>[mk(`p${i}`),mk(`q${i}`)] as const); const dp2=createDatapath(); const own=many.map(([x,y],i)=>localPlan({client:x,endpoint:y},{id:`o${i}`}));
await dp2.ensure(own[0]!);
s=performance.now(); await Promise.all(own.map(p=>dp2.ensure(p))); console.log('100 pairs of fresh namespaces', ((performance.now()-s)/100).toFixed(2),'ms each');
await Promise.all(own.map(p=>dp2.remove(p))); s=performance.now(); await dp2.close(); console.log('100 disjoint pairs reaped after', (performance.now()-s).toFixed(0),'ms');
for (const n of [...names,...many.flatMap((_,i)=>[`p${i}`,`q${i}`])]) nl.deleteNetns(d+n);
