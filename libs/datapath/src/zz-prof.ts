import * as nl from '@nsm/netlink';
import { createNetlinkKernel } from './netlink-kernel.ts';
import { createReconciler } from './reconcile.ts';
import { reap } from './bury.ts';
import { context, localPlan } from './testing.ts';
import { parsePrefix, parseAddress } from '@nsm/ip';
const d='/tmp/dp/'; const mk=(n:string)=>{nl.createNetns(d+n); return nl.formatNetns(nl.netnsOf(d+n));};
const [a,b]=['ba','bb'].map(mk) as [string,string];
const q=(x:number[])=>{x=x.toSorted((m,n)=>m-n); return `med ${x[x.length>>1]!.toFixed(3)} p10 ${x[Math.floor(x.length*.1)]!.toFixed(3)} p90 ${x[Math.floor(x.length*.9)]!.toFixed(3)}`};
const fb=nl.openNetns(d+'bb');
for (let round=0;round<3;round++) {
 // floor: two sends with open sockets
 const t:number[]=[], t1:number[]=[];
 nl.withRtnetlink(d+'ba',(ra)=>nl.withRtnetlink(d+'bb',(rb)=>{
  for (let i=0;i<200;i++) {
   const ia=0x10000000+i, ib=0x11000000+i, A=`a${i}`, B=`b${i}`;
   const s=performance.now();
   ra.request([nl.vethAdd({name:A,index:ia,mac:'02:00:00:00:00:01',group:77},{name:B,index:ib,mac:'02:00:00:00:00:02',netns:fb,group:77}), nl.linkSet(ia,{addrGenMode:'none'}), nl.linkSet(ia,{alias:'nsm:x/client',up:true}), nl.addressReplace(ia,parsePrefix(`10.0.${i}.1/32`)), nl.routeReplace(ia,{to:parsePrefix(`10.0.${i}.2/32`),scope:'link'}), nl.neighbourReplace(ia,{to:parseAddress(`10.0.${i}.2`),mac:'02:00:00:00:00:02',state:'permanent'})]);
   t1.push(performance.now()-s);
   rb.request([nl.linkSet(ib,{addrGenMode:'none'}), nl.linkSet(ib,{alias:'nsm:x/client',up:true}), nl.addressReplace(ib,parsePrefix(`10.0.${i}.2/32`)), nl.routeReplace(ib,{to:parsePrefix(`10.0.${i}.1/32`),scope:'link'}), nl.neighbourReplace(ib,{to:parseAddress(`10.0.${i}.1`),mac:'02:00:00:00:00:01',state:'permanent'})]);
   t.push(performance.now()-s);
  }
  ra.request([nl.linkDeleteGroup(77)]);
 }));
 console.log('two sends, sockets open', q(t), ' first send', q(t1));
 const k=createNetlinkKernel(), r=createReconciler(k,()=>{}); const u:number[]=[];
 const plans=Array.from({length:200},(_,i)=>JSON.parse(JSON.stringify(localPlan({client:a,endpoint:b},{id:`c${i}`,name:`nsm-${i}`,context:context([`10.1.${i>>8}.${i&255}/32`],[`11.1.${i>>8}.${i&255}/32`])})).replaceAll('nse-1',`nse-${i}`)));
 for (const p of plans) {const s=performance.now(); r.ensure(p); u.push(performance.now()-s);}
 console.log('ensure                 ', q(u)); const v:number[]=[];
 for (const p of plans) {const s=performance.now(); r.remove(p); v.push(performance.now()-s);}
 console.log('remove                 ', q(v)); 
 reap(k,a);
}
for (const n of ['ba','bb']) nl.deleteNetns(d+n);
